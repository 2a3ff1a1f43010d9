import { svelte } from '@sveltejs/vite-plugin-svelte';
import { VitePWA } from 'vite-plugin-pwa';
import { type Plugin, type Rolldown, defineConfig, loadEnv } from 'vite';

// In development the cloud answers what the page asks.
const { PILOTLIGHT_CLOUD: cloud = 'http://127.0.0.1:8080' } = loadEnv('development', '.', 'PILOTLIGHT_');

/** Whether the entry imports a module, itself or through others, other than by `import()`. */
function isFirst(id: string, graph: Rolldown.ChunkingContext, seen = new Set<string>()): boolean {
  const module = graph.getModuleInfo(id);
  if (!module || seen.has(id)) return false;
  seen.add(id);
  return module.isEntry || module.importers.some((importer) => isFirst(importer, graph, seen));
}

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
        // All that the first look needs in one file: two would compress worse. What only later screens share stays
        // out of it.
        codeSplitting: { groups: [{ name: (id, graph) => (isFirst(id, graph) ? 'first' : null) }] },
      },
    },
  },
  server: { proxy: { '/v1': cloud, '/health': cloud } },
});
