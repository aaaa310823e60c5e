import { defineConfig } from "vitest/config";

// The bundle is committed so that nobody needs Node to run Heddle; its bytes must therefore not depend on the machine.
export default defineConfig({
  base: "./",
  build: {
    target: "es2023",
    outDir: "dist",
    emptyOutDir: true,
    sourcemap: false,
    modulePreload: false,
    assetsInlineLimit: 8192,
    reportCompressedSize: true,
    // What the page opens with is one file on purpose: it is of no use without any part of it, and each request costs a
    // round trip. Panels that open seldom, and languages, are files of their own.
    chunkSizeWarningLimit: 700,
  },
  server: { proxy: { "/api": "http://127.0.0.1:8188", "/ws": { target: "ws://127.0.0.1:8188", ws: true } } },
  test: { include: ["test/**/*.test.ts"], environment: "node" },
});
