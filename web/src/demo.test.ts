import { expect, it } from 'vitest';

import { isDemoLink } from './demo';

it('is a demo by its own link only, and no link names a bridge', () => {
  expect(isDemoLink('#/demo')).toBe(true);
  for (const other of ['', '#/', '#demo', '#/demo/', '#/demo?bridge=ws://elsewhere', '#/demonstration', '#/x/demo']) {
    expect(isDemoLink(other)).toBe(false);
  }
});
