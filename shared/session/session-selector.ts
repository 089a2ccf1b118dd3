/** Selects sessions for an operator: the members of the request, checked and parsed. */
import { parameterInvalid } from '../errors/errors.ts'
import { defined } from '../json/json.ts'
import { guidPattern, plainIdPattern } from '../settings/identifiers.ts'
import type { Labelled } from './session-labels.ts'

/** The members of the request; all that are set must match. */
const selectorNames = ['subject', 'issuer', 'object_id', 'username', 'tenant', 'front_end'] as const

type SelectorName = (typeof selectorNames)[number]

/** The body of the request; its members are untrusted texts. */
export type SessionsRequest = Readonly<Partial<Record<SelectorName | 'continuation', string>>>

/** The request, parsed: values of labels; beside an issuer, the subject is the issuer's own. */
export type Selector = Readonly<Partial<Labelled & Record<'issuer', string>>>

const forms: Readonly<Record<SelectorName, { readonly form: RegExp; readonly problem: string }>> = {
  subject: { form: /^.{1,255}$/su, problem: 'has 1 to 255 characters' },
  issuer: { form: /^https:\/\/.{1,1000}$/u, problem: 'is the issuer of a provider, an https URL' },
  object_id: { form: guidPattern, problem: 'is a GUID' },
  username: { form: /^.{1,1024}$/su, problem: 'has 1 to 1,024 characters' },
  tenant: { form: guidPattern, problem: 'is a GUID' },
  front_end: { form: plainIdPattern, problem: 'is the id of a front end' },
}

/** @throws {BrokerError} `parameter_invalid`: a request without a selector would mean every session */
export function parseSelector(request: SessionsRequest): Selector {
  for (const name of selectorNames) {
    const value = request[name]
    if (value !== undefined && !forms[name].form.test(value)) throw parameterInvalid(name, forms[name].problem)
  }
  const { subject, issuer, object_id, username, tenant, front_end } = request
  if (issuer !== undefined && subject === undefined) throw parameterInvalid('issuer', 'belongs to a subject')
  const selector = defined({
    subject,
    issuer,
    objectId: object_id,
    username,
    tenant,
    frontEnd: front_end,
  })
  if (Object.keys(selector).length === 0) {
    throw parameterInvalid('body', 'names subject, object_id, username, tenant or front_end')
  }
  return selector
}

/** @returns fields for the log: ids alone. User names, and the subjects of some providers, are names of people */
export function auditFields({ objectId, tenant, frontEnd, ...others }: Selector) {
  const selector = Object.keys({ ...defined({ objectId, tenant, frontEnd }), ...others })
    .sort()
    .join(' ')
  return { selector, objectId, tenant, frontEnd }
}
