/**
 * Preloaded into every process under test: says what the process itself has used of CPU, all threads together
 * (getrusage), when it is asked by the parent's channel, and what it had used when it wrote its first line, which is
 * how each of them says that it is ready. From the first `pause` on it also watches for how long its event loop stands.
 */
import { openSync, readSync } from 'node:fs'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

export type Question = 'usage' | 'pause' | 'heap'

export interface Usage {
  /** Microseconds of user and system time since the process began. */
  readonly cpu: number
  /** The same, at the first line. */
  readonly cpuAtReady: number
  /** Bytes. */
  readonly rss: number
}

/** The longest that the main thread let everybody wait since it was last asked, in milliseconds. */
export interface Pause {
  /** On the clock, in which another process may have had the core. */
  readonly wall: number
  /** Without the time in which it waited for a core. */
  readonly own: number
}

let cpuAtReady = 0

const write = process.stdout.write.bind(process.stdout)
process.stdout.write = ((...line: Parameters<typeof write>) => {
  cpuAtReady ||= cpuNow()
  return write(...line)
}) as typeof process.stdout.write

const answers = {
  usage: (): Usage => ({ cpu: cpuNow(), cpuAtReady, rss: process.memoryUsage.rss() }),
  pause: longestPause,
  heap: heapInUse,
}
process.on('message', (question: Question) => {
  process.send?.(answers[question]())
})
// The bench is gone, however it ended.
process.on('disconnect', () => process.exit())

function cpuNow(): number {
  const { user, system } = process.cpuUsage()
  return user + system
}

const watchMilliseconds = 1
let longest: Pause = { wall: 0, own: 0 }
let watching: NodeJS.Timeout | undefined

/** A timer each millisecond: what lies between two of its turns, less what it asked for itself. */
function watch(): NodeJS.Timeout {
  const waited = openWaitingTime()
  let before = { at: performance.now(), waited: waited() }
  return setInterval(() => {
    const now = { at: performance.now(), waited: waited() }
    const wall = now.at - before.at - watchMilliseconds
    const own = wall - (now.waited - before.waited)
    longest = { wall: Math.max(longest.wall, wall), own: Math.max(longest.own, own) }
    before = now
  }, watchMilliseconds)
}

function longestPause(): Pause {
  const pause = longest
  longest = { wall: 0, own: 0 }
  watching ??= watch()
  return pause
}

/** Bytes that are left when all garbage has been collected. */
function heapInUse(): number {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
  return process.memoryUsage().heapUsed
}

/**
 * Milliseconds in which the main thread could have run and had no core, which Linux counts for each thread: the second
 * number of `schedstat`. Nowhere else is it known, and taken for none.
 */
function openWaitingTime(): () => number {
  try {
    const file = openSync('/proc/self/schedstat', 'r')
    const text = Buffer.alloc(128)
    return () => Number(text.toString('latin1', 0, readSync(file, text, 0, text.length, 0)).split(' ')[1]) / 1e6
  } catch {
    return () => 0
  }
}
