/** `npm run certificate -- roll --dry-run`: prints the steps of a roll and writes no row. */
import { defined } from '../../shared/json/json.ts'
import { foresee, withAnother } from './simulate-roll.ts'
import type { ForeseenStep } from './simulate-roll.ts'
import { createCertificateRoll, describeStep } from '../../shared/certificate/roll.ts'
import { openAccess, storeIsSilent } from './certificate-access.ts'
import type { CertificateAccess, NamedCertificate } from './certificate-access.ts'
import { LocalError } from '../../local/http-server.ts'

interface DryRunOptions {
  /** As after `roll --now`, but without requesting a version from the vault. */
  readonly now: boolean
  readonly json: boolean
}

const theNewOne = '(the new one)'

/** @returns the exit code */
export async function dryRun(certificate: NamedCertificate, { now, json }: DryRunOptions): Promise<number> {
  const { others, ...access } = await openAccess(certificate)
  const primary = await courseOf(access, now)
  const atOthers = await Promise.all(
    others.map(async ({ id, ...other }) => ({ id, ...(await courseOf({ ...access, ...other }, now)) })),
  )
  if (json) {
    const providers = atOthers.map(({ id, ...course }) => ({ id, ...described(course) }))
    console.log(JSON.stringify({ dryRun: true, ...described(primary), ...(providers.length > 0 ? { providers } : {}) }))
    return 0
  }
  console.log('No row was written; only the vault and the store were read.')
  printCourse(primary, now)
  for (const { id, ...course } of atOthers) {
    console.log(`\nAt the provider ${id}:`)
    printCourse(course, now)
  }
  console.log('Until a provider accepts a version, the one before it signs there.')
  return 0
}

/** The steps at one provider. */
interface Course {
  /** True where no step is due now: the steps are those of the next version. */
  readonly isAboutNext: boolean
  readonly steps: readonly ForeseenStep[]
}

async function courseOf(access: Omit<CertificateAccess, 'others'>, isNew: boolean): Promise<Course> {
  const record = await planOf(access)
  const context = { now: Date.now(), timing: access.timing, canRegister: access.canRegister }
  const begun = isNew ? [] : foresee(record, context)
  const isAboutNext = begun.length === 0
  return {
    isAboutNext,
    steps: isAboutNext ? foresee(withAnother(record, theNewOne, context.now), context) : begun,
  }
}

function described({ isAboutNext, steps }: Course): object {
  return {
    begins: isAboutNext ? 'with a new version' : 'now',
    steps: steps.map(({ at, step, expected }) => ({
      at: new Date(at).toISOString(),
      step: step.kind,
      ...('version' in step ? { version: step.version.version === theNewOne ? 'new' : step.version.version } : {}),
      what: describeStep(step),
      ...defined({ expected }),
    })),
  }
}

function printCourse({ isAboutNext, steps }: Course, now: boolean): void {
  if (now) console.log('The vault would create a new version by its policy. Then the broker, at its next runs:')
  else if (isAboutNext) console.log('Now there is no step to do. After a new version in the vault, the broker:')
  else console.log('The broker, at its next run:')
  for (const [index, step] of steps.entries()) console.log(`${String(index + 1).padStart(3)}. ${lineOf(step)}`)
}

/** The plan of a roll whose parts cannot write. */
async function planOf({ vault, records, timing, canRegister }: Omit<CertificateAccess, 'others'>) {
  if (!records) throw new LocalError('The state of the roll is in the store: set Broker__TableServiceUri.', 2)
  const refuse = () => Promise.reject(new Error('a dry run makes no change'))
  await records.load().catch((error: unknown) => {
    throw new LocalError(`The steps of a roll are unknown: ${storeIsSilent(error)}.`)
  })
  const { record } = await createCertificateRoll({
    vault: { ...vault, sign: refuse },
    records: { load: () => records.load(), save: refuse, update: refuse },
    applicationKeys: canRegister ? { add: refuse, remove: refuse } : undefined,
    probe: refuse,
    timing,
    clock: Date.now,
    wait: refuse,
    onRecord: () => undefined,
    log: () => undefined,
  }).plan()
  return record
}

function lineOf({ at, step, expected }: ForeseenStep): string {
  const time = new Date(at).toISOString().slice(0, 19).replace('T', ' ')
  return `${time}  ${describeStep(step)}${expected === undefined ? '' : `; expected: ${expected}`}`
}
