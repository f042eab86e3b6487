/** Writes what is left of a `var` once its names are declared elsewhere: an assignment. */
import type {
  BindingElement,
  BindingName,
  Expression,
  TransformationContext,
  VariableDeclaration,
  VariableDeclarationList,
} from "typescript";
import { ts } from "./typescript.ts";

/** `a = 1, { b } = c`; nothing where nothing is assigned. */
export function assignmentOf(list: VariableDeclarationList, context: TransformationContext): Expression | undefined {
  const { factory } = context;
  const parts = list.declarations.flatMap(({ name, initializer }) =>
    initializer ? [ts.setTextRange(factory.createAssignment(targetOf(name, context), initializer), name)] : [],
  );
  return parts.length > 1 ? factory.createCommaListExpression(parts) : parts[0];
}

/** What a loop over values assigns them to. */
export function loopTarget(list: VariableDeclarationList, context: TransformationContext): Expression {
  return targetOf((list.declarations[0] as VariableDeclaration).name, context);
}

function targetOf(name: BindingName, context: TransformationContext): Expression {
  const { factory } = context;
  if (ts.isIdentifier(name)) return name;
  if (ts.isObjectBindingPattern(name)) {
    return factory.createObjectLiteralExpression(name.elements.map((element) => property(element, context)));
  }
  return factory.createArrayLiteralExpression(
    name.elements.map((element) => {
      if (!ts.isBindingElement(element)) return element;
      const target = withDefault(targetOf(element.name, context), element, context);
      return element.dotDotDotToken ? factory.createSpreadElement(target) : target;
    }),
  );
}

function property(element: BindingElement, context: TransformationContext) {
  const { factory } = context;
  const target = targetOf(element.name, context);
  if (element.dotDotDotToken) return factory.createSpreadAssignment(target);
  if (!element.propertyName && ts.isIdentifier(element.name)) {
    return factory.createShorthandPropertyAssignment(element.name, element.initializer);
  }
  const name = element.propertyName ?? (element.name as never);
  return factory.createPropertyAssignment(name, withDefault(target, element, context));
}

function withDefault(
  target: Expression,
  { initializer }: BindingElement,
  { factory }: TransformationContext,
): Expression {
  return initializer ? factory.createAssignment(target, initializer) : target;
}
