import { freePort, freePortRange } from '../../local/http-server.ts'

/** More than the workers of a run. */
const shares = 12

/**
 * A free port of this worker's share: a program needs half a second to listen, in which another worker could choose the
 * same one.
 */
export function ownPort(): Promise<number> {
  const size = (freePortRange.to - freePortRange.from) / shares
  const from = freePortRange.from + (Number(process.env.VITEST_POOL_ID ?? 0) % shares) * size
  return freePort({ from, to: from + size })
}
