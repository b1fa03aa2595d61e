//! Writes a template again so that nothing in it escapes the meter, and so that it means what it means in Python.
//!
//! minijinja has no hook in its operators. So the parsed template is printed again with every operation that can make a
//! value grow, or that differs from Python's, turned into a filter of ours: `a + b` becomes `a|__add(b)`, `[a, b]` becomes
//! `[a, b]|__list`, and text outside of tags is printed through the formatter like everything else. Tags keep their line,
//! so that messages name the right one.

use minijinja::machinery::ast::{self, BinOpKind, CallArg, CompareOpKind, Expr, Stmt, UnaryOpKind};
use minijinja::machinery::{parse, WhitespaceConfig};
use minijinja::value::ValueKind;
use minijinja::{Error, ErrorKind, Value};

const MAX_EXPRESSION_DEPTH: u32 = 400;
const MAX_STATEMENT_DEPTH: u32 = 100;

type Done = Result<(), Error>;

struct Writer {
    out: String,
    line: u32,
    depth: u32,
}

/// Rewrites a template as transformers compiles it: trim_blocks, lstrip_blocks, {% generation %}.
pub fn rewrite(source: &str) -> Result<String, Error> {
    let source = generation_tags(source);
    let whitespace = WhitespaceConfig {
        keep_trailing_newline: false,
        lstrip_blocks: true,
        trim_blocks: true,
    };
    let tree = parse(&source, "chat_template", Default::default(), whitespace)?;
    let mut writer = Writer {
        out: String::new(),
        line: 1,
        depth: 0,
    };
    writer.statement(&tree, 0)?;
    Ok(writer.out)
}

/// {% generation %} ... {% endgeneration %} marks what the assistant wrote, for training. It is a scope of its own.
fn generation_tags(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(at) = rest.find("{%").into_iter().chain(rest.find("{#")).min() {
        let (before, tag) = rest.split_at(at);
        out.push_str(before);
        let close = if tag.starts_with("{#") { "#}" } else { "%}" };
        let end = tag[2..].find(close).map_or(tag.len(), |i| i + 4);
        let (tag, after) = tag.split_at(end);
        let word = tag
            .trim_start_matches(['{', '%', '-', '+'])
            .trim_end_matches(['}', '%', '-', '+'])
            .trim();
        match word {
            "generation" if close == "%}" => out.push_str(&tag.replacen("generation", "with", 1)),
            "endgeneration" if close == "%}" => out.push_str(&tag.replacen("endgeneration", "endwith", 1)),
            _ => out.push_str(tag),
        }
        rest = after;
        if word == "raw" {
            let end = rest.find("endraw").unwrap_or(rest.len());
            out.push_str(&rest[..end]);
            rest = &rest[end..];
        }
    }
    out.push_str(rest);
    out
}

fn syntax(message: &str) -> Error {
    Error::new(ErrorKind::SyntaxError, message.to_string())
}

impl Writer {
    fn put(&mut self, text: &str) {
        self.out.push_str(text);
    }

    /// Inside a tag: moves on to the line where this stood.
    fn at_line(&mut self, line: u16) {
        while self.line < u32::from(line) {
            self.out.push('\n');
            self.line += 1;
        }
    }

    fn string(&mut self, text: &str) {
        self.put("\"");
        for c in text.chars() {
            match c {
                '"' => self.put("\\\""),
                '\\' => self.put("\\\\"),
                '\n' => self.put("\\n"),
                '\r' => self.put("\\r"),
                c => self.out.push(c),
            }
        }
        self.put("\"");
    }

    // ---- statements ------------------------------------------------------------------------------------------------

    fn body(&mut self, statements: &[Stmt], depth: u32) -> Done {
        statements
            .iter()
            .try_for_each(|statement| self.statement(statement, depth + 1))
    }

    fn statement(&mut self, statement: &Stmt, depth: u32) -> Done {
        if depth > MAX_STATEMENT_DEPTH {
            return Err(syntax("its blocks are nested too deeply"));
        }
        match statement {
            Stmt::Template(t) => self.body(&t.children, depth)?,
            Stmt::EmitRaw(raw) => {
                self.put("{{ ");
                self.string(raw.raw);
                self.put(" }}");
            }
            Stmt::EmitExpr(emit) => {
                self.put("{{ ");
                self.at_line(emit.span().start_line);
                self.expr(&emit.expr)?;
                self.put(" }}");
            }
            Stmt::ForLoop(f) => {
                self.put("{% for ");
                self.at_line(f.span().start_line);
                self.target(&f.target)?;
                self.put(" in ");
                self.expr(&f.iter)?;
                self.put("|__iter()");
                if let Some(filter) = &f.filter_expr {
                    self.put(" if ");
                    self.expr(filter)?;
                }
                if f.recursive {
                    self.put(" recursive");
                }
                self.put(" %}{{ \"\"|__tick() }}");
                self.body(&f.body, depth)?;
                if !f.else_body.is_empty() {
                    self.put("{% else %}");
                    self.body(&f.else_body, depth)?;
                }
                self.put("{% endfor %}");
            }
            Stmt::IfCond(cond) => {
                let mut cond = cond;
                self.put("{% if ");
                loop {
                    self.at_line(cond.span().start_line);
                    self.expr(&cond.expr)?;
                    self.put(" %}");
                    self.body(&cond.true_body, depth)?;
                    match &cond.false_body[..] {
                        [Stmt::IfCond(next)] => {
                            self.put("{% elif ");
                            cond = next;
                        }
                        [] => break,
                        other => {
                            self.put("{% else %}");
                            self.body(other, depth)?;
                            break;
                        }
                    }
                }
                self.put("{% endif %}");
            }
            Stmt::WithBlock(with) => {
                self.put("{% with ");
                for (i, (target, value)) in with.assignments.iter().enumerate() {
                    if i > 0 {
                        self.put(", ");
                    }
                    let tuple = matches!(target, Expr::List(_));
                    self.put(if tuple { "(" } else { "" });
                    self.target(target)?;
                    self.put(if tuple { ") = " } else { " = " });
                    self.expr(value)?;
                }
                self.put(" %}");
                self.body(&with.body, depth)?;
                self.put("{% endwith %}");
            }
            Stmt::Set(set) => {
                self.put("{% set ");
                self.at_line(set.span().start_line);
                self.target(&set.target)?;
                self.put(" = ");
                if matches!(set.target, Expr::GetAttr(_)) {
                    self.expr(&set.expr)?;
                    self.put("|__store()");
                } else {
                    self.expr(&set.expr)?;
                }
                self.put(" %}");
            }
            Stmt::SetBlock(set) => {
                self.put("{% set ");
                self.target(&set.target)?;
                if let Some(filter) = &set.filter {
                    self.put(" | ");
                    self.filter_chain(filter)?;
                }
                self.put(" %}");
                self.body(&set.body, depth)?;
                self.put("{% endset %}");
            }
            Stmt::AutoEscape(escape) => self.body(&escape.body, depth)?,
            Stmt::FilterBlock(filter) => {
                self.put("{% filter ");
                self.filter_chain(&filter.filter)?;
                self.put(" %}");
                self.body(&filter.body, depth)?;
                self.put("{% endfilter %}");
            }
            Stmt::Block(block) => {
                self.put("{% block ");
                self.put(block.name);
                self.put(" %}");
                self.body(&block.body, depth)?;
                self.put("{% endblock %}");
            }
            Stmt::Import(_) | Stmt::FromImport(_) | Stmt::Extends(_) | Stmt::Include(_) => {
                self.put("{{ raise_exception(\"a chat template cannot load another file\") }}");
            }
            Stmt::Macro(m) => {
                self.put("{% macro ");
                self.put(m.name);
                self.parameters(m)?;
                self.put(" %}{{ \"\"|__tick() }}");
                self.body(&m.body, depth)?;
                self.put("{% endmacro %}");
            }
            Stmt::CallBlock(call) => {
                self.put("{% call");
                self.parameters(&call.macro_decl)?;
                self.put(" ");
                self.call(&call.call)?;
                self.put(" %}");
                self.body(&call.macro_decl.body, depth)?;
                self.put("{% endcall %}");
            }
            Stmt::Continue(_) => self.put("{% continue %}"),
            Stmt::Break(_) => self.put("{% break %}"),
            Stmt::Do(d) => {
                self.put("{% do ");
                self.at_line(d.span().start_line);
                self.call(&d.call)?;
                self.put(" %}");
            }
        }
        Ok(())
    }

    fn parameters(&mut self, m: &ast::Macro) -> Done {
        self.put("(");
        let without_default = m.args.len() - m.defaults.len();
        for (i, arg) in m.args.iter().enumerate() {
            if i > 0 {
                self.put(", ");
            }
            self.target(arg)?;
            if i >= without_default {
                self.put("=");
                self.expr(&m.defaults[i - without_default])?;
            }
        }
        self.put(")");
        Ok(())
    }

    fn target(&mut self, target: &Expr) -> Done {
        match target {
            Expr::Var(var) => self.put(var.id),
            Expr::GetAttr(attr) => {
                self.target(&attr.expr)?;
                self.put(".");
                self.put(attr.name);
            }
            Expr::List(list) => {
                for (i, item) in list.items.iter().enumerate() {
                    let nested = matches!(item, Expr::List(_));
                    self.put(if nested { "(" } else { "" });
                    self.target(item)?;
                    self.put(if nested { ")" } else { "" });
                    if i + 1 < list.items.len() || list.items.len() == 1 {
                        self.put(", ");
                    }
                }
            }
            _ => return Err(syntax("this cannot be assigned to")),
        }
        Ok(())
    }

    // ---- expressions -----------------------------------------------------------------------------------------------

    fn expr(&mut self, expr: &Expr) -> Done {
        self.depth += 1;
        if self.depth > MAX_EXPRESSION_DEPTH {
            return Err(syntax("an expression is nested too deeply"));
        }
        let done = self.expr_inner(expr);
        self.depth -= 1;
        done
    }

    /// As something to which `.name`, `[...]` and `(...)` can be attached: not so after a filter.
    fn postfix(&mut self, expr: &Expr) -> Done {
        let filtered = match expr {
            Expr::Slice(_) | Expr::Filter(_) | Expr::List(_) | Expr::Map(_) => true,
            Expr::BinOp(op) => {
                matches!(
                    op.op,
                    BinOpKind::Add | BinOpKind::Mul | BinOpKind::Rem | BinOpKind::Concat
                )
            }
            _ => false,
        };
        self.put(if filtered { "(" } else { "" });
        self.expr(expr)?;
        self.put(if filtered { ")" } else { "" });
        Ok(())
    }

    fn filter(&mut self, left: &Expr, name: &str, args: &[&Expr]) -> Done {
        self.expr(left)?;
        self.put("|");
        self.put(name);
        self.put("(");
        for (i, arg) in args.iter().enumerate() {
            if i > 0 {
                self.put(", ");
            }
            self.expr(arg)?;
        }
        self.put(")");
        Ok(())
    }

    /// Everything written here is a primary with postfix operators, or stands in parentheses.
    fn expr_inner(&mut self, expr: &Expr) -> Done {
        match expr {
            Expr::Var(var) => {
                self.at_line(var.span().start_line);
                self.put(var.id);
            }
            Expr::Const(constant) => self.constant(&constant.value)?,
            Expr::Slice(slice) => {
                self.expr(&slice.expr)?;
                self.put("|__slice(");
                for (i, part) in [&slice.start, &slice.stop, &slice.step].into_iter().enumerate() {
                    if i > 0 {
                        self.put(", ");
                    }
                    match part {
                        Some(part) => self.expr(part)?,
                        None => self.put("none"),
                    }
                }
                self.put(")");
            }
            Expr::UnaryOp(unary) => {
                self.put(match unary.op {
                    UnaryOpKind::Not => "(not ",
                    UnaryOpKind::Neg => "(-",
                });
                self.expr(&unary.expr)?;
                self.put(")");
            }
            Expr::BinOp(op) => self.binary(op)?,
            Expr::Compare(compare) => {
                self.put("(");
                self.expr(&compare.expr)?;
                for op in &compare.ops {
                    self.put(match op.op {
                        CompareOpKind::Eq => " == ",
                        CompareOpKind::Ne => " != ",
                        CompareOpKind::Lt => " < ",
                        CompareOpKind::Lte => " <= ",
                        CompareOpKind::Gt => " > ",
                        CompareOpKind::Gte => " >= ",
                        CompareOpKind::In => " in ",
                        CompareOpKind::NotIn => " not in ",
                    });
                    self.expr(&op.expr)?;
                }
                self.put(")");
            }
            Expr::IfExpr(cond) => {
                self.put("(");
                self.expr(&cond.true_expr)?;
                self.put(" if ");
                self.expr(&cond.test_expr)?;
                if let Some(otherwise) = &cond.false_expr {
                    self.put(" else ");
                    self.expr(otherwise)?;
                }
                self.put(")");
            }
            Expr::Filter(filter) => {
                if let Some(left) = &filter.expr {
                    self.expr(left)?;
                    self.at_line(filter.span().start_line);
                    self.put("|");
                }
                self.put(filter.name);
                self.arguments(&filter.args)?;
                self.put("|__out()");
            }
            Expr::Test(test) => {
                self.put("(");
                self.expr(&test.expr)?;
                self.put(" is ");
                self.put(test.name);
                if !test.args.is_empty() {
                    self.arguments(&test.args)?;
                }
                self.put(")");
            }
            Expr::GetAttr(attr) => {
                self.postfix(&attr.expr)?;
                self.at_line(attr.span().start_line);
                self.put(".");
                self.put(attr.name);
            }
            Expr::GetItem(item) => {
                self.postfix(&item.expr)?;
                self.at_line(item.span().start_line);
                self.put("[");
                self.expr(&item.subscript_expr)?;
                self.put("]");
            }
            Expr::Call(call) => self.call(call)?,
            Expr::List(list) => {
                self.put("[");
                for item in &list.items {
                    self.expr(item)?;
                    self.put(", ");
                }
                self.put("]|__list()");
            }
            Expr::Map(map) => {
                // As a list of pairs: the filter makes the dict, and refuses keys that cannot be.
                self.put("[");
                for (key, value) in map.keys.iter().zip(&map.values) {
                    self.put("[");
                    self.expr(key)?;
                    self.put(", ");
                    self.expr(value)?;
                    self.put("], ");
                }
                self.put("]|__dict()");
            }
        }
        Ok(())
    }

    fn call(&mut self, call: &ast::Call) -> Done {
        self.postfix(&call.expr)?;
        self.arguments(&call.args)
    }

    fn filter_chain(&mut self, expr: &Expr) -> Done {
        self.expr(expr)
    }

    fn arguments(&mut self, args: &[CallArg]) -> Done {
        self.put("(");
        for (i, arg) in args.iter().enumerate() {
            if i > 0 {
                self.put(", ");
            }
            match arg {
                CallArg::Pos(value) => self.expr(value)?,
                CallArg::Kwarg(name, value) => {
                    self.put(name);
                    self.put("=");
                    self.expr(value)?;
                }
                CallArg::PosSplat(value) => {
                    self.put("*");
                    self.expr(value)?;
                }
                CallArg::KwargSplat(value) => {
                    self.put("**");
                    self.expr(value)?;
                }
            }
        }
        self.put(")");
        Ok(())
    }

    fn binary(&mut self, op: &ast::BinOp) -> Done {
        let word = match op.op {
            BinOpKind::Add => return self.filter(&op.left, "__add", &[&op.right]),
            BinOpKind::Mul => return self.filter(&op.left, "__mul", &[&op.right]),
            BinOpKind::Rem => return self.filter(&op.left, "__mod", &[&op.right]),
            BinOpKind::Concat => return self.filter(&op.left, "__cat", &[&op.right]),
            BinOpKind::Eq => " == ",
            BinOpKind::Ne => " != ",
            BinOpKind::Lt => " < ",
            BinOpKind::Lte => " <= ",
            BinOpKind::Gt => " > ",
            BinOpKind::Gte => " >= ",
            BinOpKind::ScAnd => " and ",
            BinOpKind::ScOr => " or ",
            BinOpKind::Sub => " - ",
            BinOpKind::Div => " / ",
            BinOpKind::FloorDiv => " // ",
            BinOpKind::Pow => " ** ",
            BinOpKind::In => " in ",
        };
        self.put("(");
        self.chain(op, word)?;
        self.put(")");
        Ok(())
    }

    /// "a and b and c" without a pair of parentheses for each: the parser counts them.
    fn chain(&mut self, op: &ast::BinOp, word: &str) -> Done {
        self.depth += 1;
        if self.depth > MAX_EXPRESSION_DEPTH {
            return Err(syntax("an expression is nested too deeply"));
        }
        match &op.left {
            Expr::BinOp(left)
                if matches!(op.op, BinOpKind::ScAnd | BinOpKind::ScOr)
                    && std::mem::discriminant(&left.op) == std::mem::discriminant(&op.op) =>
            {
                self.chain(left, word)?
            }
            left => self.expr(left)?,
        }
        self.depth -= 1;
        self.put(word);
        self.expr(&op.right)
    }

    fn constant(&mut self, value: &Value) -> Done {
        match value.kind() {
            ValueKind::String => self.string(value.as_str().unwrap_or("")),
            ValueKind::None => self.put("none"),
            ValueKind::Bool => self.put(if value.is_true() { "true" } else { "false" }),
            ValueKind::Number => {
                let text = value.to_string();
                if !text.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
                    return Err(syntax("a number is too large"));
                }
                self.put(&text);
            }
            _ => return Err(syntax("a constant of an unknown kind")),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_become_filters_and_lines_stay() {
        let out = rewrite("a\n{% if x + 'y' %}\n\n{{ [1, x][::-1] }}{% endif %}").unwrap();
        assert_eq!(
            out,
            "{{ \"a\\n\" }}{% if \nx|__add(\"y\") %}{{ \"\\n\" }}{{ \n\n[1, x, ]|__list()|__slice(none, none, (-1)) }}{% endif %}"
        );
    }

    #[test]
    fn generation_is_a_scope() {
        let out = generation_tags(
            "{%- generation -%}{# generation #}{% raw %}{% generation %}{% endraw %}{%endgeneration%}",
        );
        assert_eq!(
            out,
            "{%- with -%}{# generation #}{% raw %}{% generation %}{% endraw %}{%endwith%}"
        );
    }

    #[test]
    fn deep_sources_end_with_an_error() {
        let deep = format!("{{{{ {}1{} }}}}", "(".repeat(5000), ")".repeat(5000));
        assert!(rewrite(&deep).is_err());
        assert!(rewrite(&format!("{{{{ 1{} }}}}", "+1".repeat(3000))).is_err());
        assert!(rewrite(&format!("{{{{ x{} }}}}", ".a".repeat(3000))).is_err());
        assert!(rewrite(&format!(
            "{}{}",
            "{% if a %}".repeat(3000),
            "{% endif %}".repeat(3000)
        ))
        .is_err());
    }
}
