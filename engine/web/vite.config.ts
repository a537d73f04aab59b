import { defineConfig } from "vite";

/** Where `npm run dev` finds an engine to talk to. */
const engine = process.env["LIVEFLOOR_URL"] ?? "http://127.0.0.1:8080";

export default defineConfig({
  // Relative, so that a reverse proxy may serve the page under any path.
  base: "./",
  build: {
    outDir: "dist",
    target: "es2022",
    // Names carry a hash of the content: all of assets/ may be cached for ever.
    assetsDir: "assets",
    // The content security policy knows no data: scripts or styles.
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 1200,
    modulePreload: { polyfill: false },
    sourcemap: false,
  },
  worker: { format: "es" },
  server: {
    proxy: {
      "/v1": { target: engine, ws: true },
      "/demo": engine,
    },
  },
});
