/**
 * Preloaded into every process under test: reports the CPU time of the process, all threads together (getrusage), on a
 * request by the parent's channel, and the CPU time up to its first line, by which each process reports that it is
 * ready. From the first `pause` on it also measures the pauses of its event loop.
 */
import { openSync, readSync } from 'node:fs'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

type Question = 'usage' | 'pause' | 'heap'

export interface Usage {
  /** Microseconds of user and system time since the process began. */
  readonly cpu: number
  /** The same, at the first line. */
  readonly cpuAtReady: number
  /** Bytes. */
  readonly rss: number
}

/** The longest pause of the main thread since the previous query, in milliseconds. */
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

/** A timer each millisecond: the time between two of its callbacks, less the requested interval. */
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
 * number of `schedstat`. On other systems it is unknown, and treated as zero.
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
