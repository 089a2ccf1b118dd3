import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/setup/global.ts'],
    reporters: ['default', './test/setup/summary.ts'],
    // They bound a hang, on a machine that is several times slower and busy: no test decides by them.
    testTimeout: 120_000,
    hookTimeout: 180_000,
    expect: { poll: { timeout: 60_000 } },
    maxWorkers: 2,
    // One worker runs many files: a module is loaded once, and what a test changes in its process it changes back.
    isolate: false,
  },
})
