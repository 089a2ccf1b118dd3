/**
 * Preloaded into every process under test: says what the process itself has used of CPU, all threads together
 * (getrusage), when it is asked by the parent's channel, and what it had used when it wrote its first line, which is
 * how each of them says that it is ready.
 */
export interface Usage {
  /** Microseconds of user and system time since the process began. */
  readonly cpu: number
  /** The same, at the first line. */
  readonly cpuAtReady: number
  /** Bytes. */
  readonly rss: number
}

let cpuAtReady = 0

const write = process.stdout.write.bind(process.stdout)
process.stdout.write = ((...line: Parameters<typeof write>) => {
  cpuAtReady ||= cpuNow()
  return write(...line)
}) as typeof process.stdout.write

process.on('message', () => {
  process.send?.({ cpu: cpuNow(), cpuAtReady, rss: process.memoryUsage.rss() } satisfies Usage)
})
// The bench is gone, however it ended.
process.on('disconnect', () => process.exit())

function cpuNow(): number {
  const { user, system } = process.cpuUsage()
  return user + system
}
