/** The functions host as a child process that restarts when its worker ends, as Azure restarts a worker. */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { appendFileSync, closeSync, fstatSync, openSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import * as z from 'zod/mini'

import { LocalError } from '../http-server.ts'

interface HostProcessOptions {
  /** Folder of a built bundle. */
  readonly dist: string
  /** 0 selects a free one; a restart keeps it. */
  readonly port: number
  /** The complete `process.env` of the bundle. */
  readonly env: Readonly<Record<string, string | undefined>>
  readonly masterKey?: string
  readonly functionKey?: string
  /** The output of `bundleFunctionsHost`, used in place of the sources: it starts in half the time. */
  readonly hostProgram?: string
  /** Options of Node itself, for example `--inspect=9229`. */
  readonly nodeArguments?: readonly string[]
  /** Receives the host's log lines; the default is standard error of this process. */
  readonly write?: (text: string) => void
  /**
   * A file that receives them in place of `write`. A line that the host wrote before a response is in the file when the
   * response arrives; a pipe and a connection have no order.
   */
  readonly logFile?: string
}

const readyLine = z.object({
  url: z.string(),
  port: z.number(),
  masterKey: z.string(),
  functionKey: z.string(),
  functions: z.array(
    z.object({
      name: z.string(),
      trigger: z.string(),
      route: z.optional(z.string()),
      methods: z.optional(z.array(z.string())),
    }),
  ),
})

/** The line that the host prints when it is ready. */
type HostReady = z.infer<typeof readyLine>

export interface HostProcess extends HostReady {
  /** Id of the process that serves now. */
  readonly pid: number | undefined
  /** Ends it and starts it again, on the same port and with the same keys. */
  restart(): Promise<void>
  /** Lets requests in flight finish and ends the process. */
  close(): Promise<void>
}

/** Azure needs about as long to restart a worker. */
const pauseBeforeRestart = 350
const restartsInARow = 5

/**
 * Starts the host and waits until it serves.
 *
 * @throws {LocalError} when it ends before that; the message is its standard error
 */
export async function startHostProcess(options: HostProcessOptions): Promise<HostProcess> {
  const { logFile } = options
  const print = options.write ?? ((text: string) => void process.stderr.write(text))
  const write = logFile === undefined ? print : (text: string) => appendFileSync(logFile, text)
  const keys = {
    FUNCTIONS_HOST_MASTER_KEY: options.masterKey ?? randomBytes(32).toString('base64url'),
    FUNCTIONS_HOST_FUNCTION_KEY: options.functionKey ?? randomBytes(32).toString('base64url'),
  }
  const start = (port: number) => startChild({ ...options, port, env: { ...options.env, ...keys } }, write)

  let current = await start(options.port)
  const { ready } = current
  let wanted = true
  let failures = 0
  /** A restart in progress, so that a shutdown during it leaves no process running. */
  let coming: Promise<void> = Promise.resolve()

  const watchOver = (running: Running): void => {
    const since = Date.now()
    void running.ended.then(() => {
      if (!wanted || current !== running) return
      failures = Date.now() - since > 10_000 ? 1 : failures + 1
      if (failures > restartsInARow) {
        write(`The broker has ended ${failures} times in a row and is not restarted.\n`)
        return
      }
      coming = wait(pauseBeforeRestart).then(() => replace('The broker is back.\n'))
    })
  }
  const replace = async (message: string): Promise<void> => {
    if (!wanted) return
    try {
      current = await start(ready.port)
      watchOver(current)
      write(message)
    } catch (error) {
      write(`${(error as Error).message}\n`)
    }
  }
  watchOver(current)

  return {
    ...ready,
    get pid() {
      return current.child.pid
    },
    restart: async () => {
      const before = current
      // No longer the current one, so its end does not count as a crash.
      current = { ...before }
      await end(before)
      failures = 0
      coming = replace('')
      await coming
    },
    close: async () => {
      wanted = false
      await coming
      await end(current)
    },
  }
}

interface Running {
  readonly child: ChildProcess
  readonly ready: HostReady
  readonly ended: Promise<unknown>
}

async function startChild(options: HostProcessOptions, write: (text: string) => void): Promise<Running> {
  const { logFile } = options
  const log = logFile === undefined ? undefined : openSync(logFile, 'a')
  const before = log === undefined ? 0 : fstatSync(log).size
  const child = spawn(
    process.execPath,
    [
      '--enable-source-maps',
      // Kestrel's limit; Node's own is half of it.
      '--max-http-header-size=32768',
      ...(options.nodeArguments ?? []),
      options.hostProgram ?? path.join(import.meta.dirname, 'main.ts'),
      ...['--dist', options.dist, '--port', String(options.port)],
    ],
    // The channel is never used: when it closes, the child learns that this process has ended for any reason.
    { env: options.env, stdio: ['ignore', 'pipe', log ?? 'pipe', 'ipc'] },
  )
  if (log !== undefined) closeSync(log)
  const ended = once(child, 'close')
  let complaint = ''
  let started = false
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    if (!started) complaint += text
    else write(text)
  })

  const line = await Promise.race([firstLine(child), ended.then(() => undefined)])
  started = true
  if (line === undefined) {
    if (logFile !== undefined) complaint = readFileSync(logFile).toString('utf8', before)
    throw new LocalError(complaint.trim() || 'The functions host ended before it was ready.')
  }
  if (complaint !== '') write(complaint)
  return { child, ready: z.parse(readyLine, JSON.parse(line)), ended }
}

function firstLine(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    let text = ''
    child.stdout?.setEncoding('utf8').on('data', (more: string) => {
      text += more
      const end = text.indexOf('\n')
      if (end >= 0) resolve(text.slice(0, end))
    })
  })
}

/** By SIGINT: on SIGTERM the host ends at once, without its hooks. */
async function end({ child, ended }: Running): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) child.kill('SIGINT')
  await ended
}
