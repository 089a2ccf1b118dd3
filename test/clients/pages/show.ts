/** The page of an application: the name of the person and three buttons, for each library the same. */
export const broker = document.body.dataset.broker!
export const scope = 'openid profile email offline_access api://demo/orders.read'
export const here = location.origin

interface Actions {
  readonly signIn: () => unknown
  readonly renew: () => unknown
  readonly signOut: () => unknown
}

/** @param name undefined where no person is signed in */
export function show(name: unknown, { signIn, renew, signOut }: Actions): void {
  const button = (text: string, act: () => unknown) => {
    const made = document.createElement('button')
    made.textContent = text
    made.onclick = () => void act()
    return made
  }
  const person = document.createElement('p')
  person.id = 'name'
  person.textContent = typeof name === 'string' ? name : ''
  document.body.replaceChildren(
    person,
    ...(name === undefined ? [button('Sign in', signIn)] : [button('Renew', renew), button('Sign out', signOut)]),
  )
}
