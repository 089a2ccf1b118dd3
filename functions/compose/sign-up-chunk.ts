/** The parts of a sign-up, loaded together on first use: separate imports would split the entry chunk further. */
export { createSignUp } from '../../shared/sign-in/organization-sign-up.ts'
export { createAdmission } from '../../shared/tenants/admission.ts'
export { createTenantAdministration } from '../../shared/tenants/tenant-administration.ts'
export { createSignedUpTenants } from '../../shared/tenants/tenants.store.ts'
