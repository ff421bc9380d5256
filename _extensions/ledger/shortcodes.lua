-- {{< num ID [field] >}}, {{< says ID [name] verdict="phrase" ... >}} and {{< members SET VERDICT >}};
-- what they mean is told in claimledger.prose.tokens.

local core = dofile(quarto and quarto.utils.resolve_path("core.lua")
  or pandoc.path.directory(PANDOC_SCRIPT_FILE) .. "/core.lua")
local text_of = pandoc.utils.stringify

local function markdown(text)
  if not text:find("[^%w%s,;%%]") then return pandoc.Inlines(text) end -- words alone
  return pandoc.utils.blocks_to_inlines(pandoc.read(text, "markdown").blocks)
end

-- A text of the ledger is ready as it stands, unless it holds a formula or an emphasis.
-- Typst takes one that starts a cell with a sign of its own for a heading or a list: "= .010".
local function ready(text)
  local inlines = text:find("[$*]") and markdown(text) or pandoc.Inlines(text)
  if FORMAT == "typst" and text:match("^[=+/-]") then
    inlines:insert(1, pandoc.RawInline("typst", "#h(0pt)"))
  end
  return inlines
end

local function answer(context, id, inlines, ...)
  if context == "text" then return text_of(inlines) end
  return core.claim(id, inlines, ...)
end

local function identifier(args, name)
  if args[1] then return text_of(args[1]) end
  core.fail(name .. "%s*>}}", name .. " without an id", ("{{< %s ID ... >}}"):format(name))
end

local function num(args, kwargs, _, _, context)
  local id = identifier(args, "num")
  if args[3] or next(kwargs) then
    local words = pandoc.List(args):map(function(arg) return core.literal(text_of(arg)) end)
    core.fail("num%s+" .. table.concat(words, "%s+"), "more than an id and a field", "{{< num ID [field] >}}")
  end
  local field = args[2] and text_of(args[2]) or "est"
  return answer(context, id, ready(core.text(id, field)), "num", "data-field", field)
end

local function phrases_of(kwargs)
  local phrases = {}
  for verdict, phrase in pairs(kwargs) do
    phrases[verdict] = type(phrase) == "string" and phrase or text_of(phrase)
  end
  return phrases
end

local function says(args, kwargs, _, _, context)
  local id = identifier(args, "says")
  if args[3] then
    core.fail("says%s+" .. core.literal(id), "more than an id and the name of a set of phrases", 'verdict="phrase"')
  end
  local phrase, verdict = core.phrase(id, args[2] and text_of(args[2]), phrases_of(kwargs))
  return answer(context, id, markdown(phrase), "says", "data-verdict", verdict)
end

local function members(args, kwargs, _, _, context)
  local set = identifier(args, "members")
  if not args[2] or args[3] then
    core.fail("members%s+" .. core.literal(set), "not a set and a verdict", "{{< members SET VERDICT >}}")
  end
  local phrase, verdict, id = core.members(set, text_of(args[2]), phrases_of(kwargs))
  return answer(context, id, markdown(phrase), "says", "data-verdict", verdict)
end

return { num = num, says = says, members = members }
