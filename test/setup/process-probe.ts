/** Access to the inside of a broker's process: a test moves its clock, and reads its memory and open handles. */
import { ownPort } from './own-port.ts'

export interface Usage {
  /** Bytes, after a full collection. */
  readonly heapUsed: number
  readonly external: number
  readonly rss: number
  /** Handles that keep the process alive, by kind: sockets, timers, … */
  readonly resources: Readonly<Record<string, number>>
  /** Open files and sockets. */
  readonly descriptors: number
}

export interface Inside {
  /** Settings for `startInstance`. */
  readonly settings: Readonly<Record<string, string>>
  /** Moves the clock of the running process. @param seconds ahead of the real clock; negative for behind it */
  moveClock(seconds: number): Promise<void>
  usage(): Promise<Usage>
  /** From now on, each request leaks about 200 bytes. */
  leak(): Promise<void>
}

/**
 * Creates a probe for one instance.
 *
 * @param seconds by which its clock is ahead from the start
 */
export async function openInside(seconds = 0): Promise<Inside> {
  const port = await ownPort()
  const preload = new URL(`./process-probe.preload.ts?port=${port}&ahead=${seconds}`, import.meta.url)
  const ask = (path: string) => fetch(`http://127.0.0.1:${port}${path}`)
  return {
    settings: { NODE_OPTIONS: `--expose-gc --import=${preload.href}` },
    moveClock: async (seconds) => {
      await ask(`/?ahead=${seconds}`)
    },
    leak: async () => {
      await ask('/leak')
    },
    usage: async () => (await (await ask('/usage')).json()) as Usage,
  }
}
