/** A kernel asks values for their MIME bundle by this name. */
export const display: unique symbol = Symbol.for("Jupyter.display");
