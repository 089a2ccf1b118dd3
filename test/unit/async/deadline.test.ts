import { describe, expect, it, vi } from 'vitest'
import { wait, withDeadline } from '../../../shared/async/deadline.ts'

const tooLate = () => new Error('too late')

describe('a deadline', () => {
  it('returns the result or the error of work that ends in time', async () => {
    await expect(withDeadline(Promise.resolve('done'), 1000, tooLate)).resolves.toBe('done')
    await expect(withDeadline(Promise.reject(new Error('its own')), 1000, tooLate)).rejects.toThrow('its own')
  })

  it('ends the waiting for work that never ends', async () => {
    await expect(withDeadline(new Promise(() => undefined), 5, tooLate)).rejects.toThrow('too late')
  })

  it('is not disturbed by work that fails after it', async () => {
    const late = wait(20).then(() => Promise.reject(new Error('no caller waits any more')))

    await expect(withDeadline(late, 5, tooLate)).rejects.toThrow('too late')
    // An unhandled rejection would fail this run.
    await wait(40)
  })

  it('that has passed already rejects at once, without a warning of Node', async () => {
    const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    await expect(withDeadline(new Promise(() => undefined), -5, tooLate)).rejects.toThrow('too late')
    expect(warned).not.toHaveBeenCalled()
    warned.mockRestore()
  })
})
