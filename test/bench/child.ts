/** Child processes of the bench: each reports that it is ready by one line of JSON, and ends with the bench. */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import type { Pause, Usage } from './usage.ts'

export interface Child<Ready> {
  readonly ready: Ready
  /** Only of a process with `usage.ts` preloaded. */
  usage(): Promise<Usage>
  /** The same; the first call begins to watch, each further one covers the time since the previous call. */
  pause(): Promise<Pause>
  /** Bytes on the heap, garbage collected before. */
  heap(): Promise<number>
  /** The program's other answers by its channel, one request at a time. */
  ask(question: object | string): Promise<unknown>
  /** The last that it wrote to its log. */
  log(): string
  /** By SIGTERM: a profile is written on the way out. */
  end(): Promise<void>
}

const startMilliseconds = 30_000
const answerMilliseconds = 20_000
const endMilliseconds = 15_000

/** @param argv Node's own arguments, the program and its arguments */
export async function startChild<Ready>(
  argv: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Promise<Child<Ready>> {
  const child = spawn(process.execPath, argv, { env, stdio: ['ignore', 'pipe', 'pipe', 'ipc'] })
  let said = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => void (said = (said + text).slice(-4000)))
  const line = await firstLine(child, () => said).catch((error: unknown) => {
    child.kill('SIGKILL')
    throw error
  })
  const ask = async (question: object | string): Promise<unknown> => {
    const answered = once(child, 'message', { signal: AbortSignal.timeout(answerMilliseconds) })
    child.send(question)
    return ((await answered) as [unknown])[0]
  }
  return {
    ready: JSON.parse(line) as Ready,
    usage: async () => (await ask('usage')) as Usage,
    pause: async () => (await ask('pause')) as Pause,
    heap: async () => (await ask('heap')) as number,
    ask,
    log: () => said,
    end: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return
      const ended = once(child, 'exit')
      child.kill('SIGTERM')
      const timer = setTimeout(() => child.kill('SIGKILL'), endMilliseconds)
      await ended
      clearTimeout(timer)
    },
  }
}

function firstLine(child: ChildProcess, said: () => string): Promise<string> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`Not ready in time.\n${said()}`)), startMilliseconds)
    child.once('close', () => reject(new Error(`Ended before it was ready.\n${said()}`)))
    child.once('exit', () => clearTimeout(timer))
    let text = ''
    child.stdout?.setEncoding('utf8').on('data', (more: string) => {
      text += more
      const end = text.indexOf('\n')
      if (end < 0) return
      clearTimeout(timer)
      resolve(text.slice(0, end))
    })
  })
}
