import { svelte } from '@sveltejs/vite-plugin-svelte';
import { defineConfig } from 'vite';
import type { ProxyOptions } from 'vite';

const target = process.env.LLMIND_URL ?? 'http://localhost:8000';

/* The server refuses foreign Host and Origin headers (SECURITY.md), so a request that comes through the development
 * server must look as if the page had been served by LLMind itself. */
const toServer: ProxyOptions = {
  target,
  changeOrigin: true,
  configure(proxy) {
    proxy.on('proxyReq', (request) => {
      if (request.getHeader('origin')) request.setHeader('origin', new URL(target).origin);
    });
  },
};

export default defineConfig({
  plugins: [svelte()],
  server: {
    proxy: Object.fromEntries(['/api', '/v1', '/health', '/metrics', '/openapi.json'].map((path) => [path, toServer])),
  },
  build: {
    target: 'es2022',
    modulePreload: { polyfill: false }, // every browser that knows ES2022 preloads by itself
    assetsInlineLimit: 0, // files are cached by their hash; data: URLs are not
    chunkSizeWarningLimit: 700, // echarts, which no page loads before its first chart
  },
});
