/** `npm run certificate -- roll --dry-run`: prints the steps of a roll and writes no row. */
import { defined } from '../../shared/json/json.ts'
import { foresee, withAnother } from './simulate-roll.ts'
import type { ForeseenStep } from './simulate-roll.ts'
import { createCertificateRoll, describeStep } from '../../shared/certificate/roll.ts'
import { openAccess, storeIsSilent } from './certificate-access.ts'
import type { CertificateAccess, NamedCertificate } from './certificate-access.ts'
import { LocalError } from '../../local/http-server.ts'

export interface DryRunOptions {
  /** As after `roll --now`, but without requesting a version from the vault. */
  readonly now: boolean
  readonly json: boolean
}

const theNewOne = '(the new one)'

/** @returns the exit code */
export async function dryRun(certificate: NamedCertificate, { now, json }: DryRunOptions): Promise<number> {
  const access = await openAccess(certificate)
  const record = await planOf(access)
  const context = { now: Date.now(), timing: access.timing, canRegister: access.canRegister }
  const begun = now ? [] : foresee(record, context)
  const isAboutNext = begun.length === 0
  const steps = isAboutNext ? foresee(withAnother(record, theNewOne, context.now), context) : begun

  if (json) {
    const described = steps.map(({ at, step, expected }) => ({
      at: new Date(at).toISOString(),
      step: step.kind,
      ...('version' in step ? { version: step.version.version === theNewOne ? 'new' : step.version.version } : {}),
      what: describeStep(step),
      ...defined({ expected }),
    }))
    console.log(JSON.stringify({ dryRun: true, begins: isAboutNext ? 'with a new version' : 'now', steps: described }))
    return 0
  }
  console.log('No row was written; only the vault and the store were read.')
  if (now) console.log('The vault would create a new version by its policy. Then the broker, at its next runs:')
  else if (isAboutNext) console.log('Now there is no step to do. After a new version in the vault, the broker:')
  else console.log('The broker, at its next run:')
  for (const [index, step] of steps.entries()) console.log(`${String(index + 1).padStart(3)}. ${lineOf(step)}`)
  console.log('Until the provider accepts a version, the one before it signs.')
  return 0
}

/** The plan of a roll whose parts cannot write. */
async function planOf({ vault, records, timing, canRegister }: CertificateAccess) {
  if (!records) throw new LocalError('The state of the roll is in the store: set Broker__TableServiceUri.', 2)
  const refuse = () => Promise.reject(new Error('a dry run makes no change'))
  await records.load().catch(() => {
    throw new LocalError(`The steps of a roll are unknown: ${storeIsSilent}.`)
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
