import { svelte } from '@sveltejs/vite-plugin-svelte';
import { VitePWA } from 'vite-plugin-pwa';
import { type Plugin, defineConfig, loadEnv } from 'vite';

// In development the cloud answers what the page asks.
const { PILOTLIGHT_CLOUD: cloud = 'http://127.0.0.1:8080' } = loadEnv('development', '.', 'PILOTLIGHT_');

/** The core is the largest of the first load, and its script would ask for it only once it runs: two round trips late. */
const coreAtOnce: Plugin = {
  name: 'core-at-once',
  transformIndexHtml: {
    order: 'post',
    handler: (_html, { bundle }) =>
      Object.keys(bundle ?? {})
        .filter((name) => name.endsWith('.wasm'))
        .map((name) => ({
          tag: 'link',
          attrs: { rel: 'preload', as: 'fetch', type: 'application/wasm', crossorigin: true, href: `/${name}` },
          injectTo: 'head',
        })),
  },
};

export default defineConfig({
  plugins: [
    svelte(),
    coreAtOnce,
    VitePWA({
      // A page that delivers is never reloaded under it: the user is asked.
      registerType: 'prompt',
      injectRegister: false,
      manifest: false,
      workbox: {
        globPatterns: ['**/*.{js,css,html,wasm,svg,png,webmanifest}'],
        navigateFallback: 'index.html',
        navigateFallbackDenylist: [/^\/v1\//, /^\/health/],
        cleanupOutdatedCaches: true,
        inlineWorkboxRuntime: true,
      },
    }),
  ],
  build: {
    target: 'es2022',
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    sourcemap: false,
    rolldownOptions: {
      output: {
        codeSplitting: {
          groups: [
            // By itself, so that the rest of the first load can be held to its budget (build/compress.mjs).
            { name: 'core', test: /src\/core\//, priority: 2 },
            // What two screens share, together: a dozen small files compress worse.
            { name: 'shared', test: /src\/|node_modules\/(svelte|idb|esm-env|clsx)\//, minShareCount: 2, priority: 1 },
          ],
        },
      },
    },
  },
  server: { proxy: { '/v1': cloud, '/health': cloud } },
});
