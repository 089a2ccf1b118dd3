/**
 * App roles of the registration: those of the environment's file, and the broker's own. Entra ID assigns people and
 * groups to a role by its id and puts its value into the claim `roles`. It deletes a role only after it was disabled.
 */
import { randomUUID } from 'node:crypto'
import { causeOf } from './cloud.ts'
import type { Cloud } from './cloud.ts'
import type { Configuration } from './configuration.schema.ts'
import { readPages } from './pages.ts'
import type { Report } from './report.ts'

export type WantedRole = NonNullable<Configuration['appRoles']>[number]

/** As Graph has it. Roles of others may have further members, which stay. */
export interface AppRole {
  readonly id?: string
  readonly value?: string | null
  readonly displayName?: string | null
  readonly description?: string | null
  readonly allowedMemberTypes?: readonly string[]
  readonly isEnabled?: boolean
}

/** The role that permits to operate the broker; reserved. */
const operatorRole: WantedRole = {
  value: 'Broker.Operator',
  displayName: 'Broker operator',
  description: 'Operates the broker: reads its state, and may change it.',
  allowedMemberTypes: ['User', 'Application'],
}

/**
 * @param present roles of the registration
 * @param wanted those of the file
 * @returns the roles after the first change: missing ones are added, changed ones adapted, removed ones disabled. The
 *   same list where nothing changes. Roles that the file does not name stay as they are
 */
export function declareRoles(present: readonly AppRole[], wanted: readonly WantedRole[]): readonly AppRole[] {
  const named = new Map([operatorRole, ...wanted].map((role) => [role.value, role]))
  const adapted = present.map((role) => {
    const declared = named.get(role.value ?? '')
    named.delete(role.value ?? '')
    // The operator's role may have been adapted by hand.
    return declared === undefined || declared === operatorRole ? role : adapt(role, declared)
  })
  const missing = [...named.values()].filter(({ state }) => state !== 'removed')
  const added = missing.map((role) => adapt({ id: randomUUID(), value: role.value }, role))
  const isSame = added.length === 0 && adapted.every((role, index) => role === present[index])
  return isSame ? present : [...adapted, ...added]
}

/** @returns the same object where it is as the file has it */
function adapt(present: AppRole, { displayName, description, allowedMemberTypes, state }: WantedRole): AppRole {
  const declared = {
    displayName,
    description: description ?? displayName,
    allowedMemberTypes: allowedMemberTypes ?? ['User'],
  }
  // A role that leaves keeps its texts: assignments and audit logs show them until then.
  const next = state === undefined || state === 'enabled' ? { ...declared, isEnabled: true } : { isEnabled: false }
  const isAsDeclared = Object.entries(next).every(([name, value]) => isSame(present[name as keyof AppRole], value))
  return isAsDeclared ? present : { ...declared, ...present, ...next }
}

/** Graph may return a list in another order. */
function isSame(one: unknown, other: unknown): boolean {
  return sorted(one) === sorted(other)
}

function sorted(value: unknown): unknown {
  return Array.isArray(value) ? value.map(String).sort().join() : value
}

/**
 * Deletes the roles that the file marks as removed and that no person, group or application is assigned to. They are
 * disabled already. An assigned one stays disabled, and the report names it with the number of its assignments.
 *
 * @param present roles of the registration, after `declareRoles`
 */
export async function deleteRemovedRoles(
  { cloud, report }: { readonly cloud: Cloud; readonly report: Report },
  { clientId, objectId }: { readonly clientId: string; readonly objectId: string },
  present: readonly AppRole[],
  wanted: readonly WantedRole[],
): Promise<void> {
  const values = new Set(wanted.filter(({ state }) => state === 'removed').map(({ value }) => value))
  const leaving = present.filter(({ value }) => values.has(value ?? ''))
  if (leaving.length === 0) return
  const assigned = await assignmentsOf(cloud, clientId)
  if (!assigned) {
    report.todo('The assignments of app roles cannot be read, so removed roles are disabled and not deleted.')
    return
  }
  const unassigned = leaving.filter(({ id }) => !assigned.includes(id ?? ''))
  for (const { value, id } of leaving.filter((role) => !unassigned.includes(role))) {
    const count = assigned.filter((one) => one === id).length
    report.todo(
      `The app role ${String(value)} is removed in the file and still has ${count === 1 ? 'one assignment' : `${count} assignments`}: it is disabled, and not deleted. Remove the assignments under Enterprise applications, then deploy again.`,
    )
  }
  if (unassigned.length === 0) return
  const changed = await cloud.graph(`/applications/${objectId}`, {
    method: 'PATCH',
    body: { appRoles: present.filter((role) => !unassigned.includes(role)) },
    passing: [404],
  })
  const names = unassigned.map(({ value }) => String(value)).join(', ')
  if (changed.status >= 300)
    report.todo(`The app roles ${names} are disabled. They were not deleted (Graph answered ${causeOf(changed)}).`)
  else report.row('App roles', `deleted: ${names}`)
}

/** @returns the role of each assignment; undefined where they cannot be read, or not all of them */
async function assignmentsOf(cloud: Cloud, clientId: string): Promise<readonly string[] | undefined> {
  // Without a service principal there is no assignment.
  const path = `/servicePrincipals(appId='${clientId}')/appRoleAssignedTo?$select=appRoleId&$top=999`
  return (await readPages<{ readonly appRoleId: string }>(cloud.graph, path))?.map(({ appRoleId }) => appRoleId)
}
