/**
 * The committed configuration of one environment, `infra/environments/<name>.json`: its members, types and limits.
 * docs/environment.schema.json is generated from this schema. A member has the name of the template parameter that it
 * fills, except `settings` and `providers` (`brokerSettings`) and `tags` (`extraTags`).
 */
import * as z from 'zod/mini'
import { checkBaseUrl } from '../../shared/settings/addresses.ts'
import { checkGuid } from '../../shared/settings/identifiers.ts'
import { frontEndsSchema } from '../../shared/settings/front-ends.schema.ts'
import { providersSchema } from '../../shared/settings/providers.schema.ts'
import { withMessage, withMessages } from '../../shared/settings/messages.ts'
import type { Refusal } from '../../shared/settings/settings-error.ts'

const guidPattern = '^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$'
const guid = (description: string) =>
  z.string().check(
    withMessage((value) => checkGuid(value, 'Write the GUID as the portal shows it.')),
    z.meta({ pattern: guidPattern, description }),
  )
const described = (description: string) => z.meta({ description })

/** A text of one form; the message and the published schema have the example. */
const text = (form: RegExp, example: string, description: string, check?: (value: string) => Refusal | undefined) =>
  z.string().check(
    withMessage((value: string) =>
      form.test(value)
        ? check?.(value)
        : { problem: 'is not written as expected', fix: `Write it in this form: ${example}` },
    ),
    z.meta({ pattern: form.source, description, examples: [example] }),
  )

/** Words that Azure refuses in names of resources ("Reserved resource name errors"). */
function checkReserved(name: string): Refusal | undefined {
  const [word] = /^login|microsoft|windows/i.exec(name) ?? []
  if (word === undefined) return undefined
  return {
    problem: `${word.toLowerCase() === 'login' ? 'begins with' : 'contains'} ${word}, which Azure refuses in the name of a resource`,
    fix: 'Choose another name, such as signin.',
  }
}

/**
 * Azure issues the certificate of the domain by its CNAME record, which a domain without a subdomain cannot have, and
 * for 64 characters at most ("Add and manage TLS/SSL certificates" of App Service).
 */
function checkDomainName(name: string): Refusal | undefined {
  if (name.length > 64) return { problem: 'is too long for the certificate of Azure', fix: 'At most 64 characters.' }
  if (name.split('.').length > 2) return undefined
  return { problem: 'is a domain without a subdomain', fix: 'Write a subdomain, such as signin.example.com.' }
}

function checkAppSubnet(id: string): Refusal | undefined {
  if (!id.split('/').at(-1)?.includes('_')) return undefined
  return {
    problem: 'names a subnet with an underscore, which Flex Consumption refuses',
    fix: 'Use a subnet with another name.',
  }
}

const octet = '(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])'
const address = `${octet}(\\.${octet}){3}`

function toNumber(ipv4: string): number {
  return ipv4.split('.').reduce((number, part) => number * 256 + Number(part), 0)
}

/** Azure refuses a range whose address has bits behind its length. */
function checkAddressRange(range: string): Refusal | undefined {
  const [start = '', length] = range.split('/')
  if (toNumber(start) % 2 ** (32 - Number(length)) === 0) return undefined
  return { problem: 'does not begin at the first address of its range', fix: 'Write the first one: 10.140.0.0/24.' }
}

/** Requests from a private address do not reach the public address of a vault as such. RFC 1918 §3. */
function checkPublicAddress(range: string): Refusal | undefined {
  if (!/^(10|192\.168|172\.(1[6-9]|2[0-9]|3[01]))\./.test(range)) return undefined
  return {
    problem: 'is a private address, which the vault never sees',
    fix: 'Write the public address of the machine or of its NAT gateway: 203.0.113.7.',
  }
}

/**
 * Microsoft.Resources: 50 tags, three of which belong to the template;
 * of all resources, storage has the shortest names.
 */
const mostTags = 47
const ofTemplate = /^(azd-env-name|azd-service-name|application)$|^(microsoft|azure|windows|hidden-)/i

function checkTags(tags: unknown) {
  const names = Object.keys(typeof tags === 'object' && tags !== null ? tags : {})
  const refuse = (path: string[], problem: string, fix: string) => [{ path, problem, fix }]
  const lower = names.map((name) => name.toLowerCase())
  return [
    ...(names.length > mostTags ? refuse([], 'has too many tags', `Azure accepts ${mostTags} beside its own.`) : []),
    ...names.flatMap((name, index) => {
      if (ofTemplate.test(name)) return refuse([name], 'is reserved for the template or for Azure', 'Rename the tag.')
      if (!/^[^<>%&\\?/]{1,128}$/.test(name))
        return refuse([name], 'is not a name of a tag', 'Write 1 to 128 characters without < > % & \\ ? /')
      if (lower.indexOf(name.toLowerCase()) === index) return []
      return refuse([name], 'differs from another tag in capital letters only', 'Write it once.')
    }),
  ]
}

const permissions = (values: readonly [string, ...string[]], description: string) =>
  z.optional(z.array(z.enum(values)).check(described(description)))

const vaultAccess = z.strictObject({
  objectId: guid('Object id of the person, group or service principal.'),
  certificates: permissions(
    [
      'get',
      'list',
      'create',
      'update',
      'delete',
      'import',
      'managecontacts',
      'getissuers',
      'listissuers',
      'setissuers',
      'deleteissuers',
      'manageissuers',
      'recover',
      'backup',
      'restore',
      'purge',
    ],
    'Permissions on certificates.',
  ),
  keys: permissions(
    [
      'get',
      'list',
      'sign',
      'verify',
      'wrapKey',
      'unwrapKey',
      'encrypt',
      'decrypt',
      'create',
      'update',
      'import',
      'delete',
      'recover',
      'backup',
      'restore',
      'purge',
      'rotate',
      'getrotationpolicy',
      'setrotationpolicy',
    ],
    'Permissions on keys.',
  ),
})

const vaultObjectName = (description: string) => text(/^[0-9A-Za-z-]{1,127}$/, 'broker-2', description)

const appRole = z.strictObject({
  value: z
    .string()
    .check(
      z.regex(/^(?!\.)[\x21\x23-\x5b\x5d-\x7e]{1,120}$/),
      described(
        'Value of the role in the claim `roles`, without white space. Names the role: another value is another role.',
      ),
    ),
  displayName: z
    .string()
    .check(z.minLength(1), z.maxLength(100), described('Name of the role where an administrator assigns it.')),
  description: z.optional(
    z.string().check(z.minLength(1), z.maxLength(1024), described('Description of the role. Default: its name.')),
  ),
  allowedMemberTypes: z.optional(
    z
      .array(z.enum(['User', 'Application']))
      .check(
        z.minLength(1),
        z.maxLength(2),
        described('User: people and groups. Application: other applications. Default: User.'),
      ),
  ),
  state: z.optional(
    z
      .enum(['enabled', 'disabled', 'removed'])
      .check(
        described(
          'enabled (default). disabled: it stays and can be assigned no longer. removed: it is disabled, and deleted once it has no assignment; then remove it here.',
        ),
      ),
  ),
})

/** Two roles of one value would change each other with each deployment, and the operator's role is the broker's own. */
function checkRoles(roles: unknown) {
  const values = (Array.isArray(roles) ? roles : []).map((role) => (role as { value?: unknown } | null)?.value)
  return values.flatMap((value, index) => {
    const refuse = (problem: string, fix: string) => [{ path: [index, 'value'], problem, fix }]
    if (value === 'Broker.Operator') return refuse('is a role of the broker itself', 'Choose another value.')
    return value === undefined || values.indexOf(value) === index ? [] : refuse('occurs twice', 'Write each role once.')
  })
}

const domainName = /^(?=.{4,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}$/

/** Azure refuses a repetition, or counts it twice. */
const onlyOnce = withMessages((entries) => {
  const list: readonly unknown[] = Array.isArray(entries) ? entries : []
  return list.flatMap((one, index) =>
    list.indexOf(one) === index ? [] : [{ path: [index], problem: 'occurs twice', fix: 'Write it once.' }],
  )
})

export const configurationSchema = z.strictObject({
  $schema: z.optional(
    z.string().check(described('Path of this schema, for editors: ../../docs/environment.schema.json.')),
  ),
  resourceGroupName: z.optional(
    text(/^[-\w.()]{0,89}[-\w()]$/, 'rg-signin', 'Name of the resource group. Default: rg-<environment>.'),
  ),
  resourceToken: z.optional(
    text(
      /^[a-z0-9]{3,13}$/,
      'k7m2p4q6r8s3t',
      'Part of every resource name. Default: derived from subscription and environment.',
      checkReserved,
    ),
  ),
  tenantId: z.optional(
    z.string().check(
      // The broker's own check has better messages for `common` and domain names.
      z.maxLength(256),
      z.meta({
        pattern: `${guidPattern}|^(organizations|common)$`,
        description:
          'Tenant whose people sign in. Default: the tenant of the subscription. organizations or common: people of many tenants, with Broker__Tenants and Broker__HomeTenantId in settings.',
      }),
    ),
  ),
  clientId: z.optional(
    z
      .string()
      .check(
        z.maxLength(256),
        described(
          'Application (client) id of the app registration. The first deployment by a person creates the registration and writes this member. With Broker__Authority: the client id at that provider.',
        ),
      ),
  ),
  applicationObjectId: z.optional(
    guid('Object id of the same app registration (not of its service principal). Written together with clientId.'),
  ),
  registration: z.optional(
    z
      .enum(['automatic', 'manual'])
      .check(
        described(
          'automatic (default): the hooks create and complete the app registration. manual: the hooks send no request to Microsoft Graph and print the commands instead.',
        ),
      ),
  ),
  appRoles: z.optional(
    z
      .array(appRole)
      .check(
        z.maxLength(200),
        withMessages(checkRoles),
        described(
          'App roles of the app registration. The hooks add and adapt them by their value; roles that are not here stay. Their values are in the claim `roles` of the people who are assigned to them.',
        ),
      ),
  ),
  frontEnds: z.optional(frontEndsSchema),
  providers: z.optional(providersSchema()),
  settings: z.optional(
    z
      .record(z.string(), z.union([z.string(), z.number(), z.boolean()]))
      .check(
        described(
          'App settings of the broker by their names in docs/settings.md, for example Broker__SessionIdleSeconds. Not the settings that the template sets itself.',
        ),
      ),
  ),
  tags: z.optional(
    z
      .record(z.string(), z.string().check(z.maxLength(256)))
      .check(withMessages(checkTags), described('Tags of every resource, beside azd-env-name and application.')),
  ),
  nodeVersion: z.optional(z.enum(['22', '24']).check(described('Major version of Node. Default: 22.'))),
  instanceMemoryMB: z.optional(
    z.literal([512, 2048, 4096]).check(described('Memory of an instance in MB. Default: 2048.')),
  ),
  maximumInstances: wholeNumber(
    40,
    1000,
    'Maximum number of on-demand instances of each group of functions. Default: 40.',
  ),
  alwaysReadyInstances: wholeNumber(
    0,
    100,
    'Instances that are always ready for HTTP; each is billed while idle. 1 or 2 in production. Default: 0.',
  ),
  domain: z.optional(
    text(
      domainName,
      'signin.example.com',
      'Custom domain, without https://: signin.example.com. Default: the host name of the function app.',
      checkDomainName,
    ),
  ),
  baseUrl: z.optional(
    text(
      /^https:\/\/[a-z0-9.-]+(\/[A-Za-z0-9._~/-]*[A-Za-z0-9_~-])?$/,
      'https://app.example.com/auth',
      'Address of the broker where another server forwards requests to it, with its path. Default: the domain.',
      checkBaseUrl,
    ),
  ),
  vaultAuthorization: z.optional(
    z
      .enum(['accessPolicies', 'rbac'])
      .check(described('Permissions in the vault by access policies (default), or by roles with the same reach.')),
  ),
  vaultName: z.optional(
    text(
      /^[A-Za-z](?!.*--)[0-9A-Za-z-]{1,22}[0-9A-Za-z]$/,
      'contoso-signin',
      'Name of the vault, unique in the cloud. Default: kv-<token>. Names of deleted vaults stay reserved.',
      checkReserved,
    ),
  ),
  vaultSku: z.optional(
    z.enum(['standard', 'premium']).check(described('Software keys (standard, default) or HSM keys (premium).')),
  ),
  vaultSoftDeleteDays: wholeNumber(
    7,
    90,
    'Days in which a deleted vault can be recovered and its name stays reserved. Cannot be changed later. Default: 90.',
  ),
  certificateName: z.optional(vaultObjectName('Name of the certificate in the vault. Default: broker.')),
  wrappingKeyName: z.optional(
    vaultObjectName('Name of the key in the vault that wraps the key ring. Default: broker-key-ring.'),
  ),
  certificateOfficerId: z.optional(
    guid('Object id of the person or group that may always create and change certificates.'),
  ),
  developerIds: z.optional(
    z
      .array(guid('Object id of a developer, or of a group of developers.'))
      .check(
        z.maxLength(50),
        described('Developers who get the permissions of the broker in the vault. Refused in production.'),
      ),
  ),
  otherVaultAccess: z.optional(
    z
      .array(vaultAccess)
      .check(
        z.maxLength(100),
        described('Further entries in the vault. A deployment removes entries that are not here.'),
      ),
  ),
  assignRoles: z.optional(
    z
      .boolean()
      .check(described('false: the template assigns no roles, and the hook prints the commands. Default: true.')),
  ),
  alertEmails: z.optional(
    z
      .array(text(/^(?=.{6,254}$)[^\s@<>]+@[^\s@<>]+\.[^\s@<>]+$/, 'signin-alerts@example.com', 'Mail address.'))
      .check(z.maxLength(20), onlyOnce, described('Mail addresses that receive the alerts.')),
  ),
  alertActionGroupIds: z.optional(
    z
      .array(resourceId('Microsoft.Insights/actionGroups', '[^/]+', 'Resource id of an action group.'))
      // An alert rule has at most five, and one of them is the template's own.
      .check(
        z.maxLength(4),
        onlyOnce,
        described('Existing action groups that receive the alerts too, by their resource ids.'),
      ),
  ),
  webTestLocations: z.optional(
    z
      .array(
        text(/^[a-z0-9]+(-[a-z0-9]+)+-(azr|edge)$/, 'emea-nl-ams-azr', 'Region by its name in Application Insights.'),
      )
      .check(
        z.minLength(3),
        z.maxLength(16),
        onlyOnce,
        described(
          'Regions of the web test, by their names in Application Insights. Required outside the public cloud.',
        ),
      ),
  ),
  logRetentionDays: wholeNumber(30, 730, 'Days for which logs are kept. Default: 30.'),
  softDeleteDays: wholeNumber(1, 365, 'Days in which deleted blobs and containers can be recovered. Default: 7.'),
  auditTableReads: flag('Log reads of the tables too. The log grows with every session that is read. Default: true.'),
  network: z.optional(
    z
      .enum(['public', 'private'])
      .check(
        described(
          'public (default): Key Vault and storage accept requests from any network. private: the app joins a virtual network, and Key Vault and storage are reachable through private endpoints only.',
        ),
      ),
  ),
  networkAddressPrefix: z.optional(
    text(
      new RegExp(`^${address}/([89]|1[0-9]|2[0-5])$`),
      '10.140.0.0/24',
      'Address range of the virtual network that the template creates, /25 or larger. Default: 10.140.0.0/24.',
      checkAddressRange,
    ),
  ),
  appSubnetId: z.optional(
    resourceId(
      'Microsoft.Network/virtualNetworks',
      '[^/]+/subnets/[^/]+',
      'Existing subnet of the app, delegated to Microsoft.App/environments, without an underscore in its name.',
      checkAppSubnet,
    ),
  ),
  endpointSubnetId: z.optional(
    resourceId('Microsoft.Network/virtualNetworks', '[^/]+/subnets/[^/]+', 'Existing subnet of the private endpoints.'),
  ),
  createDnsZones: flag(
    'Create the private DNS zones. false where a policy or a central team registers private endpoints. Default: true.',
  ),
  vaultAllowedAddresses: z.optional(
    z
      .array(
        text(
          new RegExp(`^${address}(/([0-9]|[12][0-9]|3[0-2]))?$`),
          '203.0.113.7',
          'IPv4 address or CIDR range.',
          checkPublicAddress,
        ),
      )
      .check(
        z.maxLength(20),
        described(
          'IPv4 addresses or CIDR ranges that reach the vault of a private network, for example the machine that deploys.',
        ),
      ),
  ),
  frontDoor: z.optional(
    z
      .strictObject({
        id: guid('Front Door ID, as its overview page shows it.'),
        domain: text(domainName, 'login.example.com', 'Domain that browsers use, without https://.'),
      })
      .check(described('Azure Front Door in front of the app, which then accepts requests from this Front Door only.')),
  ),
  zoneRedundant: flag(
    'Spread app and storage over availability zones. Choose it before the first deployment. Default: false.',
  ),
  lockResources: flag('Protect the vault and the storage accounts from deletion by locks. Default: false.'),
  budget: z.optional(
    z
      .strictObject({
        amount: z.int().check(z.gte(1), described('Amount a month, in the currency of the subscription.')),
        startDate: text(
          /^20[0-9]{2}-(0[1-9]|1[0-2])-01$/,
          '2026-12-01',
          'First day of the month in which the budget starts. Azure does not allow a later change.',
        ),
      })
      .check(described('Monthly budget of the resource group, with alerts.')),
  ),
  updateStrategy: z.optional(
    z
      .enum(['Recreate', 'RollingUpdate'])
      .check(
        described('Recreate (default): an update restarts all instances. RollingUpdate: it replaces them in batches.'),
      ),
  ),
})

export type Configuration = z.infer<typeof configurationSchema>

function wholeNumber(least: number, most: number, description: string) {
  return z.optional(z.int().check(z.gte(least), z.lte(most), described(description)))
}

function flag(description: string) {
  return z.optional(z.boolean().check(described(description)))
}

function resourceId(type: string, name: string, description: string, check?: (value: string) => Refusal | undefined) {
  // Azure ignores capital letters, and its portal and az write this type as microsoft.insights/actiongroups too.
  const anyCase = (part: string) => part.replace(/[a-z]/gi, (one) => `[${one.toUpperCase()}${one.toLowerCase()}]`)
  const start = `^/subscriptions/[0-9A-Fa-f-]{36}/${anyCase('resourceGroups')}/[^/]+/providers`
  const group = '/subscriptions/aaaaaaaa-0001-4000-8000-000000000001/resourceGroups/rg-shared/providers'
  const example = `${group}/${type}/${name.replaceAll('[^/]+', 'name')}`
  return text(new RegExp(`${start}/${anyCase(type)}/${name}$`), example, description, check)
}
