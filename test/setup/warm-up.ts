/** Ends the background work of new instances, so that a test can count the requests of its own steps alone. */
import { vi } from 'vitest'
import { runFunction } from './admin-functions.ts'
import type { Stack } from './stack.ts'
import { openTables } from './tables.ts'

/**
 * Runs the warm-up of each instance, and waits for the last row that it writes.
 *
 * @param instances those that run; all of the stack by default
 */
export async function warmUp(stack: Stack, instances = stack.brokers): Promise<void> {
  for (const instance of instances) {
    const status = await runFunction(instance, 'warmup')
    if (status !== 202) throw new Error(`The warm-up of an instance answered ${status}.`)
  }
  await firstRowsWritten(stack)
}

/** Waits for the last row that the first instance of all writes, which follows its warm-up in the background. */
export async function firstRowsWritten(stack: Stack): Promise<void> {
  // The marker that the certificate's row was taken over follows the row.
  const { store } = openTables(stack)
  const isDone = async () =>
    (await store.list('service', 'taken-over')).some(({ row }) => row.startsWith('certificate.'))
  await vi.waitUntil(isDone, 60_000)
}
