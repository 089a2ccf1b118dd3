/**
 * `npm start`: everything on loopback, and a card that says what runs where. `--port N` moves the broker, `--port 0`
 * takes free ports for all; `--json` prints one line for programs; `--without-broker` is `npm run local`.
 */
import { bootstrap } from '../tools/bootstrap.js'

void bootstrap(async () => {
  const { run } = await import('./run.ts')
  await run(process.argv.slice(2))
})
