import { existsSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { configDefaults, defineConfig } from 'vitest/config'
import WaitingFirst from './test/setup/sequencer.ts'

/** The client libraries have packages of their own: `npm run test:clients` installs them. */
const clientsAreInstalled = existsSync(new URL('test/clients/node_modules', import.meta.url))

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: [...configDefaults.exclude, ...(clientsAreInstalled ? [] : ['test/clients/**'])],
    globalSetup: ['test/setup/global.ts'],
    setupFiles: ['test/setup/compiled-code.ts'],
    reporters: ['default', './test/setup/summary.ts'],
    // They bound a hang, on a machine that is several times slower and busy: no test decides by them.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    expect: { poll: { timeout: 60_000 } },
    // At least three: many files wait for a deadline of the broker. Each worker costs two seconds of CPU time.
    maxWorkers: Math.min(8, Math.max(3, availableParallelism())),
    sequence: { sequencer: WaitingFirst },
    // One worker runs many files: a module is loaded once, and what a test changes in its process it changes back.
    isolate: false,
  },
})
