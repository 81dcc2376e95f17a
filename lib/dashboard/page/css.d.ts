// A style sheet imported by a script is its text, as the build makes it.
declare module '*.css' {
  const text: string
  export default text
}
