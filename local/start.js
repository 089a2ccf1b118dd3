/**
 * `npm start`: every part on loopback, and a banner with the addresses. `--port N` moves the broker, `--port 0`
 * selects free ports for all; `--json` prints one line for programs; `--without-broker` is `npm run local`.
 */
import { bootstrap } from '../tools/bootstrap.js'

void bootstrap(async () => {
  const { run } = await import('./run.ts')
  await run(process.argv.slice(2))
})
