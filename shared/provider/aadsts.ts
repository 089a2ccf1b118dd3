/**
 * The one table of AADSTS numbers: the cause of each, and the remedy that the operator reads. Source:
 * learn.microsoft.com/entra/identity-platform/reference-error-codes. Microsoft warns that numbers may change, so they
 * are a hint: where a number is not in the table, `error` and `suberror` alone decide.
 */

/**
 * - `certificate`: another version of the certificate may be accepted
 * - `federation`: the app registration does not trust the managed identity; the certificate may be accepted
 * - `client`: the client id, its state or its credential is wrong; the operator corrects it
 * - `registration`: the app registration or the broker's settings are wrong; the operator corrects them
 * - `load`: too many requests; they are repeated later
 * - `service`: a part of the service is down; the request is repeated later
 * - `interaction`: the person has to act at the provider
 * - `permission`: an administrator has to permit the person
 * - `cancel`: the person declined
 */
type AadstsCause =
  | 'certificate'
  | 'federation'
  | 'client'
  | 'registration'
  | 'load'
  | 'service'
  | 'interaction'
  | 'permission'
  | 'cancel'

interface Aadsts {
  readonly cause: AadstsCause
  /** For the operator; the log has it beside the number. */
  readonly remedy: string
}

const wait = 'wait; Microsoft’s service health page reports incidents'
const scopes = 'correct the scopes of the front end in Broker__FrontEnds'
const permissions = 'add the API to the app registration’s permissions and grant consent, or correct the scopes'
const client = 'check AzureAd__ClientId and AzureAd__TenantId'
const federated =
  'create the federated credential at the app registration with the issuer of the identity’s tenant, the object id of the identity as the subject, and the audience of AzureAd__ClientCredentials__1__TokenExchangeUrl; a new one takes effect after some minutes'
const sameTenant =
  'use a managed identity of the tenant of the app registration: Entra ID exchanges no token of another tenant'
const restrictions = 'permit the tenant in the tenant restrictions of the person’s network'
const report = 'update the broker; if the error returns, report it with the number'

/** A function, so that a start of the broker does not compile the table: only a refusal reads it. */
const tableOf = (): Readonly<Record<AadstsCause, Readonly<Record<number, string>>>> => ({
  certificate: {
    700024: 'check the clock: the assertion is outside its validity',
    700027: 'register the certificate’s public part: the key is not registered',
    1000502: 'create a new version: the certificate has expired',
    7000214: 'create a new version: the certificate was revoked',
    7000277: 'create a new version: the certificate was revoked',
  },
  federation: {
    70021: federated,
    700211: federated,
    700212: federated,
    700213: federated,
    700226: sameTenant,
    700236: sameTenant,
  },
  client: {
    50012: 'register the certificate’s public part: the assertion does not verify',
    50048: client,
    70001: 'enable the application under Enterprise applications',
    70002: 'register the certificate’s public part',
    90002: 'check AzureAd__TenantId and the cloud of AzureAd__Instance',
    90038: 'set AzureAd__Instance to the login address of the tenant’s cloud',
    700011: client,
    700016: client,
    700025: 'set "Allow public client flows" to No in the app registration',
    700030: 'remove the app registration’s restriction of certificate subjects, or use a permitted certificate',
    7000112: 'enable the application under Enterprise applications',
    7000215: 'register the certificate’s public part',
    7000218: 'set "Allow public client flows" to No and register the redirect URI under the platform Web',
    7000222: 'register the certificate’s public part',
    7000229:
      'create the enterprise application of the app registration in the tenant: az ad sp create --id <client id>',
  },
  registration: {
    28002: scopes,
    28003: scopes,
    50001: permissions,
    50003: 'create the app-specific signing key, or remove the custom claims',
    50010: 'set the application ID URI of the API',
    50011: 'register https://<broker>/callback as a redirect URI under the platform Web',
    50146: 'create the app-specific signing key, or remove the custom claims',
    50194: 'check AzureAd__TenantId',
    65005: permissions,
    70003: report,
    70004: 'register https://<broker>/callback as a redirect URI under the platform Web',
    70005: report,
    70007: 'set Broker__ResponseMode to form_post or query',
    70011: scopes,
    76021: 'allow unsigned requests in the application',
    90004: report,
    90008: 'add User.Read or the API to the app registration’s permissions and grant consent',
    90009: 'write the API’s scope with its GUID, not with its URI',
    90014: report,
    90015: 'register fewer or shorter scopes, and use shorter return URLs',
    500011: 'install the API’s application in the tenant, or correct the scope’s resource',
    500014: 'enable the API’s service principal under Enterprise applications',
    500113: 'register https://<broker>/callback as a redirect URI under the platform Web',
    501461: 'change the API’s identifier, or use an app-specific signing key',
    650052: 'enable the API’s service in the tenant',
    650053: scopes,
    650054: 'remove the scopes of the API that no longer exists',
    650056: permissions,
    650057: permissions,
    700022: scopes,
    700023: scopes,
    700054: 'enable ID tokens for the app registration (enableIdTokenIssuance), or set Broker__ResponseType to code',
    900144: report,
    900382: 'set AzureAd__Instance to the login address of the tenant’s cloud',
    900432: 'set AzureAd__Instance to the login address of the tenant’s cloud',
    900971: 'register https://<broker>/callback as a redirect URI under the platform Web',
    9001023: 'check AzureAd__TenantId',
    9002313: report,
    9002326: 'register https://<broker>/callback under the platform Web, not under Single-page application',
    9002327: 'register https://<broker>/callback under the platform Web, not under Single-page application',
  },
  load: {
    50088: wait,
    50166: wait,
    50196: 'wait; if it returns, look for a front end that renews in a loop',
    90024: wait,
    90055: wait,
  },
  service: {
    20001: 'check the federated identity provider',
    20012: 'check the federated identity provider',
    40008: 'check the federated identity provider',
    40010: 'check the federated identity provider',
    50000: wait,
    50033: wait,
    50086: wait,
    50087: wait,
    70012: wait,
    80001: 'check the pass-through authentication agents',
    80002: 'check the pass-through authentication agents',
    80005: 'check the pass-through authentication agents',
    80007: 'check the pass-through authentication agents',
    80010: 'check the pass-through authentication agents',
    80014: 'check the pass-through authentication agents',
    90006: wait,
    90012: wait,
    90033: wait,
    90036: wait,
    90090: wait,
    90091: wait,
    90092: wait,
    501621: 'simplify the application’s claims transformation',
  },
  interaction: {
    16000: 'the person selects an account of the tenant; invite the account where it is to have access',
    50072: 'the person registers a second factor',
    50074: 'the person signs in with a second factor',
    50076: 'the person signs in with a second factor',
    50078: 'the person signs in with a second factor',
    50079: 'the person registers a second factor',
    50097: 'the person signs in from a registered device',
    50125: 'the person registers for password reset',
    50127: 'the person installs the broker application',
    50129: 'the person registers the device',
    50131: 'the person signs in again; Conditional Access decides',
    50158: 'the person completes the external challenge',
    50187: 'the person signs in from a registered device',
    53000: 'the person signs in from a compliant device',
    53001: 'the person signs in from a domain-joined device',
    53002: 'the person uses an approved application',
    53003: 'Conditional Access blocks the access; the sign-in log names the policy',
    53004: 'the person registers a second factor',
    53010: 'the person registers a second factor from a permitted place',
    65001: 'the person or an administrator consents',
    700020: 'the person signs in again',
  },
  permission: {
    16003: 'invite the account into the tenant',
    50002: restrictions,
    50014: 'the guest redeems the invitation',
    50020: 'invite the account into the tenant',
    50105: 'assign the person to the application',
    51004: 'invite the account into the tenant',
    53011: 'remediate the risk of the account',
    54000: 'check the age group of the account',
    90072: 'invite the account into the tenant',
    90093: 'permit the person to use the application',
    90094: 'grant the administrator’s consent',
    90095: 'grant the administrator’s consent',
    90123: 'permit the person at the federated identity provider',
    500021: restrictions,
    500022: restrictions,
    500212: 'change the outbound cross-tenant access policy of the person’s tenant',
    500213: 'change the inbound cross-tenant access policy',
    530032: 'check the security policies of the tenant',
    530035: 'check the security defaults of the tenant',
    1000031: 'permit the person to use the application',
  },
  cancel: {
    65004: 'none: the person declined consent',
  },
})

interface Known {
  readonly byNumber: ReadonlyMap<number, Aadsts>
  /** A cause that passes or that the operator removes comes before one that ends a session. */
  readonly precedence: readonly AadstsCause[]
}

let known: Known | undefined

function readTable(): Known {
  const table = tableOf()
  const causes = Object.keys(table) as readonly AadstsCause[]
  const rows = causes.flatMap((cause) =>
    Object.entries(table[cause]).map(([number, remedy]) => [Number(number), { cause, remedy }] as const),
  )
  return { byNumber: new Map(rows), precedence: ['load', 'service', ...causes] }
}

/** @param numbers `error_codes` of an error response; untrusted @returns undefined where no number is in the table */
export function findAadsts(numbers: unknown): Aadsts | undefined {
  if (!Array.isArray(numbers)) return undefined
  const { byNumber, precedence } = (known ??= readTable())
  const found = numbers.flatMap((number: unknown) => (typeof number === 'number' ? (byNumber.get(number) ?? []) : []))
  return found.toSorted((a, b) => precedence.indexOf(a.cause) - precedence.indexOf(b.cause))[0]
}

/**
 * The number of an authorization response, which has no `error_codes` but may have it in `error_uri`. It chooses the
 * sentence that a person reads, and no other decision depends on it.
 */
export function numberOf(errorUri: string | undefined): number | undefined {
  const digits = /[?&]code=(\d{4,8})(&|$)/.exec(errorUri ?? '')?.[1]
  return digits === undefined ? undefined : Number(digits)
}
