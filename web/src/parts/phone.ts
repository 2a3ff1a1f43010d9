// The phone, for every part of the page.
import { createContext } from 'svelte';

import type { Phone } from '../lib/phone.svelte';

export const [getPhone, setPhone] = createContext<Phone>();
