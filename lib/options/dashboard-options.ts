// The options of the page where customers manage their keys, as a host writes them.

/** The page: where it is, how it looks, what it shows. */
export interface DashboardOptions {
  /** Where it is; holds the parameters of `routePrefix`, and no others. @default '/api-key' */
  path?: string
  /** Its heading. 1–60 characters. @default 'API keys' */
  title?: string
  /** Of buttons and marks, as `#rrggbb`. @default the page's own */
  accentColor?: string
  /** Beside the title: a path on this origin, or an image as `data:image/…;base64,…` of at most 64 000 characters. @default none */
  logo?: string
  /** In the page's head, 8 at most. `url` is a path on this origin or an https URL. @default [] */
  links?: Array<{ text: string, url: string }>
  /** Where to sign in, shown to whoever is not: a path on this origin or an https URL. @default none */
  signInUrl?: string
  /** What the examples beside a new key call: a path on this origin or an https URL, of a route that answers GET. @default '/' */
  exampleUrl?: string
  /** What it shows; what `routes` or `usage` has switched off is never shown. */
  features?: DashboardFeatures
}

/** Parts of the page. */
export interface DashboardFeatures {
  /** Among the keys, a card for each environment's default key. @default true */
  defaultKey?: boolean
  /** The keys, and all that is done with them. @default true */
  keys?: boolean
  /** Usage, recent requests and failures. @default true */
  usage?: boolean
  /** The origins of publishable keys. @default true */
  sites?: boolean
  /** The audit log. @default true */
  audit?: boolean
}
