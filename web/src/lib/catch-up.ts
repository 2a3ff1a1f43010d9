// What can be done for a vend without its user and without the card: pass on what waits, and look for news.
import type { Cloud, VendAnswer } from './cloud';
import type { Step, TopUp, TopUpShown, Trust } from './core';

/** Most steps of one vend in one go: one that always has another one is broken. */
const STEPS_MAX = 8;

/** Goes as far as it goes now; whether anything has changed. `save` is called before every step.
 * @throws When the cloud cannot be reached. */
export async function catchUp(topUp: TopUp, trust: Trust, cloud: Cloud, save: () => Promise<void>): Promise<boolean> {
  let changed = false;
  for (let steps = 0; steps < STEPS_MAX; steps += 1) {
    const step = JSON.parse(topUp.next(trust)) as Step;
    const version = versionOf(topUp, trust);
    if (version === undefined) return changed;
    const answer = await performed(step, topUp.id, cloud);
    const why = 'vend' in answer ? topUp.vend_shown(answer.vend, trust) : topUp.refused(answer.problem, trust);
    if (why !== undefined) return changed;
    const same = versionOf(topUp, trust) === version && topUp.next(trust) === JSON.stringify(step);
    await save();
    if (same) return changed;
    changed = true;
  }
  return changed;
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
  return (JSON.parse(topUp.view(trust)) as TopUpShown).vend?.version;
}
