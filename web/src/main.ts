import { mount } from 'svelte';

import App from './App.svelte';
import './app.css';
import { speech } from './words/speech.svelte';

const target = document.getElementById('app');
if (!target) throw new Error('the page has no #app');
// One language from the first word on.
await speech.begin();
mount(App, { target });
