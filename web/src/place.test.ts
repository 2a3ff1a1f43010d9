import { expect, it } from 'vitest';

import { placeOf } from './place';

it('names every screen by its address', () => {
  expect(placeOf('')).toEqual({ screen: 'home' });
  expect(placeOf('#/')).toEqual({ screen: 'home' });
  expect(placeOf('#/top-up')).toEqual({ screen: 'top-up' });
  expect(placeOf('#/vend/01')).toEqual({ screen: 'vend', vend: '01', returned: false });
  expect(placeOf('#/receipt/01')).toEqual({ screen: 'receipt', vend: '01' });
});

it('knows who comes back from the cashier, with whatever the cashier adds', () => {
  expect(placeOf('#/vend/01?returned')).toMatchObject({ returned: true });
  expect(placeOf('#/vend/01?returned&order=7')).toMatchObject({ vend: '01', returned: true });
});

it('leads home from where nothing is', () => {
  expect(placeOf('#/nowhere')).toEqual({ screen: 'home' });
  expect(placeOf('#/vend')).toEqual({ screen: 'home' });
});
