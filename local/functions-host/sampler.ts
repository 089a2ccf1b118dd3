/**
 * Decides which requests the host marks as sampled. The exporter of the real host keeps about five traces a second, and
 * a worker sees the decision in the flags of `traceparent`.
 */
import { performance } from 'node:perf_hooks'

export type IsSampled = () => boolean

const usualTracesPerSecond = 5

/**
 * @param settings of the host: `OTEL_TRACES_SAMPLER` is `always_on`, or `microsoft.rate_limited` with traces a second
 *   in `OTEL_TRACES_SAMPLER_ARG`
 * @param now milliseconds that only grow
 */
export function createSampler(
  settings: Readonly<Record<string, string | undefined>>,
  now: () => number = () => performance.now(),
): IsSampled {
  if (settings['OTEL_TRACES_SAMPLER'] === 'always_on') return () => true
  const perSecond = Number(settings['OTEL_TRACES_SAMPLER_ARG'] ?? usualTracesPerSecond)
  let [left, since] = [perSecond, now()]
  return () => {
    const at = now()
    left = Math.min(perSecond, left + ((at - since) / 1000) * perSecond)
    since = at
    if (left < 1) return false
    left -= 1
    return true
  }
}
