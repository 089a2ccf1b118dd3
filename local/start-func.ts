/**
 * `npm run start:func`: the same build under Azure Functions Core Tools, with the local parts around it. Arguments are
 * passed on to `func start`.
 */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import path from 'node:path'

import { build, describeBuild } from '../tools/build.ts'
import { onOrphaned } from './shutdown.ts'
import { dropShellSecrets } from './shell-secrets.ts'
import { LocalError } from './http-server.ts'
import { brokerEnvironment, caFile, ensureLocalParts } from './local-parts.ts'
import { reportFailure } from './program-failure.ts'
import { copyExampleSettings } from './settings-file.ts'
import { brokerPortOf } from './start-arguments.ts'

const root = path.join(import.meta.dirname, '..')
/** On this platform `func` is a `.cmd` file, which only a shell can run. */
const isWindows = process.platform === 'win32'

try {
  checkFunc()
  if (await copyExampleSettings(root)) {
    console.error('There was no local.settings.json: copied local.settings.example.json to it.')
  }
  dropShellSecrets(process.env, console.error)
  const parts = await ensureLocalParts()
  try {
    console.error(describeBuild(await build({ sourcemap: true })))
    process.exitCode = await runFunc()
  } finally {
    await parts.close()
  }
} catch (error) {
  process.exitCode = reportFailure(error)
}

/** npm puts the project's own first on the PATH: an optional dependency, whose download may have failed. */
function checkFunc(): void {
  if (spawnSync('func', ['--version'], { shell: isWindows }).status === 0) return
  throw new LocalError(
    'Azure Functions Core Tools (func) is not installed. Install it: npm install -g azure-functions-core-tools@4 --unsafe-perm true. ' +
      'The broker runs without it as well: npm start',
  )
}

async function runFunc(): Promise<number> {
  const { Broker__BaseUrl: baseUrl } = await brokerEnvironment()
  const child = spawn('func', ['start', '--port', String(brokerPortOf(baseUrl)), ...process.argv.slice(2)], {
    cwd: root,
    stdio: 'inherit',
    shell: isWindows,
    // Core Tools fills in from local.settings.json only the names that the environment does not set. The file also
    // contains the authorities that this machine trusts, so it wins over the machine's own file.
    env: { ...process.env, NODE_EXTRA_CA_CERTS: caFile },
  })
  // Ctrl-C reaches func by the terminal; a SIGTERM for this process has to be passed on.
  const passOn = () => child.kill('SIGTERM')
  const stay = () => undefined
  process.on('SIGTERM', passOn).on('SIGINT', stay)
  onOrphaned(passOn)
  try {
    const [code] = (await once(child, 'exit')) as [number | null]
    return code ?? 0
  } finally {
    process.off('SIGTERM', passOn).off('SIGINT', stay)
  }
}
