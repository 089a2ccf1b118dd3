/**
 * Preloaded into every process under test: says what the process itself has used of CPU, all threads together
 * (getrusage), when it is asked by the parent's channel, and what it had used when it wrote its first line, which is
 * how each of them says that it is ready. From the first `pause` on it also watches for how long its event loop stands.
 */
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
  /** What the main thread itself computed in one go: nobody else can make it longer. */
  readonly cpu: number
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
let longest = { wall: 0, cpu: 0 }
let watching: NodeJS.Timeout | undefined

/** A timer each millisecond: what lies between two of its turns, less what it asked for itself. */
function watch(): NodeJS.Timeout {
  let before = { wall: performance.now(), cpu: threadCpuNow() }
  return setInterval(() => {
    const now = { wall: performance.now(), cpu: threadCpuNow() }
    longest = {
      wall: Math.max(longest.wall, now.wall - before.wall - watchMilliseconds),
      cpu: Math.max(longest.cpu, now.cpu - before.cpu),
    }
    before = now
  }, watchMilliseconds)
}

function longestPause(): Pause {
  const pause = longest
  longest = { wall: 0, cpu: 0 }
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

/** Linux counts at its ticks and when threads change places: good for milliseconds, not for a single call. */
function threadCpuNow(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}
