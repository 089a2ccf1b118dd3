/** Azure Functions Core Tools as a process beside the stack: the same bundle, served by the real host. */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { describe } from 'vitest'
import { hasCoreTools } from '../setup/programs.ts'
import { ownPort } from '../setup/own-port.ts'

const isWindows = process.platform === 'win32'

/** Tests under `func start`; without Core Tools they are skipped, and the summary of `npm test` names the program. */
export function describeUnderCoreTools(name: string, tests: () => void): void {
  describe.skipIf(!hasCoreTools())(name, tests)
}

export interface CoreTools {
  readonly url: string
  close(): Promise<void>
}

/** Longer than the unpacking of Core Tools at a first start. */
const patienceMilliseconds = 120_000

/**
 * @param dist the built bundle; a copy is served, since Core Tools wants a settings file beside it
 * @throws {Error} with the output of `func`, if it ends or does not answer
 */
export async function startCoreTools(
  dist: string,
  settings: Readonly<Record<string, string | undefined>>,
): Promise<CoreTools> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'broker-func-'))
  const port = await ownPort()
  await cp(dist, folder, { recursive: true })
  await writeSettings(folder)
  await leaveOutExtensions(path.join(folder, 'host.json'))

  let said = ''
  const child = spawn('func', ['start', '--port', String(port)], {
    cwd: folder,
    shell: isWindows,
    // A separate process group: `func` may be a script around the program that serves.
    detached: !isWindows,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, FUNCTIONS_CORE_TOOLS_TELEMETRY_OPTOUT: '1', ...settings },
  })
  const ended = once(child, 'exit')
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (said += chunk.toString()))
  const close = async () => {
    if (child.exitCode === null && child.signalCode === null) kill(child.pid)
    await ended
    await rm(folder, { recursive: true, force: true })
  }

  const url = `http://localhost:${port}`
  const patience = Date.now() + patienceMilliseconds
  while (!(await answers(url))) {
    if (child.exitCode !== null || Date.now() > patience) {
      await close()
      throw new Error(`Core Tools did not serve the broker: ${said.slice(-4000)}`)
    }
    await wait(250)
  }
  return { url, close }
}

/** The runtime, which names the worker, without the functions that need a storage account or an extension. */
async function writeSettings(folder: string): Promise<void> {
  const values = {
    FUNCTIONS_WORKER_RUNTIME: 'node',
    'AzureWebJobs.sweep.Disabled': 'true',
    'AzureWebJobs.rollCertificate.Disabled': 'true',
    'AzureWebJobs.certificateEvent.Disabled': 'true',
  }
  await writeFile(path.join(folder, 'local.settings.json'), JSON.stringify({ IsEncrypted: false, Values: values }))
}

/** The host itself serves HTTP, so no download of the extension bundle is needed. */
async function leaveOutExtensions(file: string): Promise<void> {
  const host = JSON.parse(await readFile(file, 'utf8')) as Record<string, unknown>
  delete host.extensionBundle
  await writeFile(file, JSON.stringify(host))
}

async function answers(url: string): Promise<boolean> {
  try {
    return (await fetch(`${url}/health`)).ok
  } catch {
    return false
  }
}

function kill(pid: number | undefined): void {
  if (pid === undefined) return
  if (isWindows) spawnSync('taskkill', ['/pid', String(pid), '/t', '/f'])
  else process.kill(-pid, 'SIGTERM')
}
