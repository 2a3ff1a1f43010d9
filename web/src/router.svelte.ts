// Where in the page we are: the part of the address after #, so that any server and the offline page can serve it.

import { enterDemo, isDemoLink } from './demo';
import { type Place, placeOf, returnedTo } from './place';

class Router {
  place = $state.raw<Place>(placeOf(location.hash));

  constructor() {
    const returned = returnedTo(location.hash);
    if (returned) this.replace(returned);
    if (isDemoLink(location.hash)) {
      enterDemo();
      this.replace('/');
    }
    addEventListener('hashchange', () => {
      if (isDemoLink(location.hash)) {
        // Another radio and another memory: the page begins anew.
        enterDemo();
        this.replace('/');
        location.reload();
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
