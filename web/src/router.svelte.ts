// Where in the page we are: the part of the address after #, so that any server and the offline page can serve it.

import { demoPlace, enterDemo, isDemo } from './demo';
import { type Place, placeOf, returnedTo } from './place';

class Router {
  place = $state.raw<Place>(placeOf(location.hash));

  constructor() {
    const demo = demoPlace(location.hash);
    if (demo !== undefined) {
      enterDemo();
      this.replace(demo);
    }
    const returned = returnedTo(location.hash);
    if (returned) this.replace(returned);
    addEventListener('hashchange', () => {
      const demo = demoPlace(location.hash);
      if (demo !== undefined) {
        const isNew = !isDemo();
        enterDemo();
        this.replace(demo);
        // Another radio and another memory: the page begins anew.
        if (isNew) location.reload();
        return;
      }
      this.place = placeOf(location.hash);
    });
  }

  go(path: string): void {
    location.hash = path;
  }

  /** Goes there instead of here: the browser's back button skips this place. */
  replace(path: string): void {
    history.replaceState(history.state, '', `#${path}`);
    this.place = placeOf(location.hash);
  }
}

export const router = new Router();
