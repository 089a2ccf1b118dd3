/** The order of the test files: files that mostly wait start first, so that the others run beside them. */
import path from 'node:path'
import { BaseSequencer } from 'vitest/node'
import type { TestSpecification } from 'vitest/node'

const root = path.join(import.meta.dirname, '..', '..')

/**
 * Deadlines of the broker, overlaps of certificates, retries of the telemetry, the compiler: the longest wait first.
 */
const waiting = [
  'test/telemetry/fault.test.ts',
  'test/fault/hanging.test.ts',
  'test/certificate/fault.test.ts',
  'test/certificate/commands.test.ts',
  'test/fault/cold-identity.test.ts',
  'test/certificate/hard-times.test.ts',
  'test/fault/killed.test.ts',
  'test/certificate/interrupted.test.ts',
  'test/infra/templates.test.ts',
  'test/fault/storm.test.ts',
  'test/fault/crowd.test.ts',
  'test/local/start.test.ts',
  'test/certificate/recover.test.ts',
  'test/certificate/lifetime.test.ts',
]

export default class WaitingFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification) => {
      const place = waiting.indexOf(path.relative(root, moduleId).split(path.sep).join('/'))
      return place < 0 ? waiting.length : place
    }
    const usual = await super.sort(files)
    return usual.sort((one, other) => rank(one) - rank(other))
  }
}
