// What can be done for a vend without its user and without the card: pass on what waits, and look for news.
import type { Cloud, VendAnswer } from './cloud';
import { type Step, type TopUp, type Trust, shownOf, takeAnswer } from './core';

/** Most steps of one vend in one go: one that always has another one is broken. */
const STEPS_MAX = 8;

/** Goes as far as it goes now. `save` is called after every step.
 * @throws When the cloud cannot be reached. */
export async function catchUp(topUp: TopUp, trust: Trust, cloud: Cloud, save: () => Promise<void>): Promise<void> {
  for (let steps = 0; steps < STEPS_MAX; steps += 1) {
    const next = topUp.next(trust);
    const version = versionOf(topUp, trust);
    if (version === undefined) return;
    const answer = await performed(JSON.parse(next) as Step, topUp.id, cloud);
    if (takeAnswer(topUp, answer, trust) !== undefined) return;
    const same = versionOf(topUp, trust) === version && topUp.next(trust) === next;
    await save();
    if (same) return;
  }
}

function performed(step: Step, id: string, cloud: Cloud): Promise<VendAnswer> {
  switch (step.step) {
    case 'confirm':
      return cloud.confirm(id, step.body);
    case 'upload_receipt':
      return cloud.putReceipt(id, step.body);
    case 'read_status':
    case 'begin':
    case 'offer':
    case 'open_tender':
    case 'pay':
    case 'follow':
    case 'name_delivery':
    case 'ask_card':
    case 'end':
      return cloud.follow(id, 0);
  }
}

/** Of the vend as the cloud last showed it; none where it has not heard of it. */
function versionOf(topUp: TopUp, trust: Trust): number | undefined {
  return shownOf(topUp, trust).vend?.version;
}
