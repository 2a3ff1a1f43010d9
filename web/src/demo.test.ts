import { expect, it } from 'vitest';

import { demoPlace } from './demo';

it('is a demo by its own link only, and no link names a bridge', () => {
  expect(demoPlace('#/demo')).toBe('/');
  expect(demoPlace('#/demo/vend/019a-01')).toBe('/vend/019a-01');
  expect(demoPlace('#/demo/returned?x')).toBe('/returned?x');
  for (const other of ['', '#/', '#demo', '#/demo/', '#/demo?bridge=ws://elsewhere', '#/demonstration', '#/x/demo']) {
    expect(demoPlace(other)).toBeUndefined();
  }
});
