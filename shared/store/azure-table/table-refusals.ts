/** Remedies for refusals of the table service. Its error code decides; an unknown code gets the general remedy. */
import { forOperator } from '../../errors/catalogue.ts'
import { BrokerError } from '../../errors/errors.ts'

const role =
  'assign the role Storage Table Data Contributor on the storage account to the broker’s identity (AZURE_CLIENT_ID). A new assignment takes effect after up to 10 minutes.'
const network =
  'allow the function app to reach the storage account: add its subnet to the account’s network rules, or connect it by a private endpoint of the sub-resource table that DNS resolves. If the network is open, check the role Storage Table Data Contributor.'
const identity =
  'check that the storage account and the broker’s identity (AZURE_CLIENT_ID) belong to the same tenant, and the clock.'
const account = 'enable the storage account and its subscription.'

/**
 * By the service's code. Source: Storage documentation, "Common REST API error codes" and "Table Storage error codes".
 */
export const tableRemedies: Readonly<Record<string, string>> = {
  AuthorizationPermissionMismatch: role,
  AuthorizationResourceTypeMismatch: role,
  AuthorizationServiceMismatch: role,
  // The service sends this code for network rules, and for a request without any permission.
  AuthorizationFailure: network,
  AuthorizationSourceIPMismatch: network,
  AuthorizationProtocolMismatch: 'write https in Broker__TableServiceUri.',
  PublicAccessNotPermitted: network,
  AuthenticationFailed: identity,
  InvalidAuthenticationInfo: identity,
  NoAuthenticationInformation: identity,
  KeyBasedAuthenticationNotPermitted:
    'check Broker__TableServiceUri: the broker sends a key to an emulator on loopback only.',
  AccountIsDisabled: account,
  InsufficientAccountPermissions: account,
  AccountBeingCreated: 'wait until the storage account is created.',
  TableNotFound: `create the table, or let the broker create it: ${role}`,
  TableBeingDeleted: 'wait a minute: a table that was deleted is created again after its deletion is complete.',
  ResourceNotFound: 'check the storage account and the path in Broker__TableServiceUri.',
  InvalidUri: 'check the storage account and the path in Broker__TableServiceUri.',
  InvalidResourceName: 'check Broker__TablePrefix and the path in Broker__TableServiceUri.',
  FeatureNotSupported: 'use a general-purpose v2 storage account, which has a table service.',
}

/**
 * @param what the table or the request, for the log
 * @param code the service's own; undefined where the response had none
 */
export function storeRefusal(what: string, status: number, code: string | undefined): BrokerError {
  const remedy = code !== undefined && Object.hasOwn(tableRemedies, code) ? tableRemedies[code] : undefined
  return new BrokerError('store_unavailable', {
    detail: `${what}: ${status} ${code ?? 'unexpected'}`,
    ...(remedy === undefined ? {} : { remedy: forOperator(remedy) }),
  })
}
