// @ts-check
/** What a top-up costs on the way to the cloud and back. */

/** 50 kbit/s each way and 800 ms there and back. */
export const CELLAR = { latencyMs: 800, downBytesPerS: 6_250, upBytesPerS: 6_250 };
/** At most, until the gas company has believed the meter. */
export const BUDGET = { bytes: 12_000, roundTrips: 8 };

/** No part of a top-up: upon every navigation the browser looks whether the page has changed, when it likes.
 * @param {import('./front.mjs').Passed} passed */
const isOwnLook = ({ path }) => path === '/sw.js';

/**
 * @param {import('./front.mjs').Front} front
 * @param {() => Promise<void>} topUp From the wish until it was accepted.
 */
export async function trafficOf(front, topUp) {
  await front.quiet();
  const before = front.passed.length;
  const began = performance.now();
  await topUp();
  const tookMs = performance.now() - began;
  await front.quiet();
  const all = front.passed.slice(before).filter((one) => !isOwnLook(one));
  // The answer to the receipt says that it was accepted; what is asked after that shows the new balance.
  const passed = all.slice(0, all.findLastIndex(({ path }) => path.endsWith('/receipt')) + 1);
  if (passed.length === 0) throw new Error('no receipt was passed on');
  const bytes = passed.reduce((sum, { up, down }) => sum + up + down, 0);
  return { passed, bytes, roundTrips: passed.length, tookMs };
}
