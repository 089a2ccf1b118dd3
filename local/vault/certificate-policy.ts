/** Certificate policies in the form of Key Vault's REST, with its defaults. */
import * as z from 'zod/mini'
import type { KeyOperation } from './keys.ts'

const keyUsages = [
  'digitalSignature',
  'nonRepudiation',
  'keyEncipherment',
  'dataEncipherment',
  'keyAgreement',
  'keyCertSign',
  'cRLSign',
  'encipherOnly',
  'decipherOnly',
] as const
export type KeyUsage = (typeof keyUsages)[number]

const lifetimeAction = z.object({
  trigger: z.object({ lifetime_percentage: z.optional(z.int()), days_before_expiry: z.optional(z.int()) }),
  action: z.object({ action_type: z.enum(['AutoRenew', 'EmailContacts']) }),
})

/** The client's request: any part may be missing. */
export const policyChanges = z.object({
  key_props: z.optional(
    z.object({
      exportable: z.optional(z.boolean()),
      kty: z.optional(z.enum(['RSA', 'RSA-HSM'])),
      key_size: z.optional(z.union([z.literal(2048), z.literal(3072), z.literal(4096)])),
      reuse_key: z.optional(z.boolean()),
    }),
  ),
  secret_props: z.optional(
    z.object({ contentType: z.optional(z.enum(['application/x-pkcs12', 'application/x-pem-file'])) }),
  ),
  x509_props: z.optional(
    z.object({
      subject: z.optional(z.string()),
      ekus: z.optional(z.array(z.string())),
      key_usage: z.optional(z.array(z.enum(keyUsages))),
      validity_months: z.optional(z.int().check(z.gte(1), z.lte(1200))),
    }),
  ),
  lifetime_actions: z.optional(z.array(lifetimeAction)),
  issuer: z.optional(z.object({ name: z.optional(z.string()) })),
})
type PolicyChanges = z.infer<typeof policyChanges>

export interface Policy {
  readonly key_props: {
    readonly exportable: boolean
    readonly kty: 'RSA' | 'RSA-HSM'
    readonly key_size: number
    readonly reuse_key: boolean
  }
  readonly secret_props: { readonly contentType: string }
  readonly x509_props: {
    readonly subject: string
    readonly ekus: readonly string[]
    readonly key_usage: readonly KeyUsage[]
    readonly validity_months: number
  }
  readonly lifetime_actions: readonly z.infer<typeof lifetimeAction>[]
  readonly issuer: { readonly name: string }
}

/** Key Vault's own defaults: exportable, 2048 bits. The control API of the local vault uses better ones. */
export const defaultPolicy: Policy = {
  key_props: { exportable: true, kty: 'RSA', key_size: 2048, reuse_key: false },
  secret_props: { contentType: 'application/x-pkcs12' },
  x509_props: {
    subject: '',
    ekus: ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2'],
    key_usage: ['digitalSignature', 'keyEncipherment'],
    validity_months: 12,
  },
  lifetime_actions: [{ trigger: { lifetime_percentage: 80 }, action: { action_type: 'AutoRenew' } }],
  issuer: { name: 'Unknown' },
}

export function changePolicy(policy: Policy, changes: PolicyChanges): Policy {
  return {
    key_props: { ...policy.key_props, ...given(changes.key_props) },
    secret_props: { ...policy.secret_props, ...given(changes.secret_props) },
    x509_props: { ...policy.x509_props, ...given(changes.x509_props) },
    lifetime_actions: changes.lifetime_actions ?? policy.lifetime_actions,
    issuer: { ...policy.issuer, ...given(changes.issuer) },
  }
}

/** A certificate's key usage determines its key's operations; without one, all except encrypt and decrypt. */
export function keyOpsOf(keyUsage: readonly KeyUsage[]): KeyOperation[] {
  if (keyUsage.length === 0) return ['sign', 'verify', 'wrapKey', 'unwrapKey']
  return [
    ...(keyUsage.includes('digitalSignature') ? (['sign', 'verify'] as const) : []),
    ...(keyUsage.includes('keyEncipherment') ? (['wrapKey', 'unwrapKey'] as const) : []),
    ...(keyUsage.includes('dataEncipherment') ? (['encrypt', 'decrypt'] as const) : []),
  ]
}

type Given<Part> = { [Name in keyof Part]?: Exclude<Part[Name], undefined> }

/** Removes members that are undefined: in a spread, they would overwrite present values. */
function given<Part extends object>(part: Part | undefined): Given<Part> {
  return Object.fromEntries(Object.entries(part ?? {}).filter(([, value]) => value !== undefined)) as Given<Part>
}
