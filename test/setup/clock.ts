/**
 * Settings of an instance whose clock is ahead: values expire there without a wait, and stay valid at other instances.
 */
export function clockAhead(seconds: number): { readonly NODE_OPTIONS: string } {
  const code = `const now=Date.now;Date.now=()=>now()+${seconds * 1000}`
  return { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(code)}` }
}
