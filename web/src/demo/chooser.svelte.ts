// The user's choice among several cards, which the browser offers for a real radio and we for a bridge.
import type { InReach } from '../lib/link/bridge';

class Chooser {
  asked = $state.raw<{ cards: InReach[]; answer: (chosen: InReach | undefined) => void }>();

  choose(cards: InReach[]): Promise<InReach | undefined> {
    // Whoever was asked before is not shown any more.
    this.asked?.answer(undefined);
    return new Promise((resolve) => {
      this.asked = {
        cards,
        answer: (chosen) => {
          this.asked = undefined;
          resolve(chosen);
        },
      };
    });
  }
}

export const chooser = new Chooser();
