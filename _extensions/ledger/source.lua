-- For plain pandoc, what Quarto does while it parses: `.when`, the answers of shortcodes in the places
-- of their tokens, and references to the paper's exhibits and sections set aside from its citations.

local function script(name) return dofile(pandoc.path.directory(PANDOC_SCRIPT_FILE) .. "/" .. name .. ".lua") end
local core, handlers = script("core"), script("shortcodes")

local tokens = pandoc.json.decode(core.read(core.setting("tokens")), false)
local TOKEN = core.TOKEN
local KINDS = { fig = true, tbl = true, sec = true }

local function answer(number, context)
  local token = tokens[tonumber(number)]
  if token.shown then return context == "text" and token.shown or pandoc.Inlines({ pandoc.Str(token.shown) }) end
  local handler = handlers[token.name]
  if not handler then
    local alone = token.name == "embed" and "an embed on a line of its own"
    core.fail("{{<%s*" .. core.literal(token.raw:match("^%S+")) .. "[%s>]",
      "{{< " .. token.raw .. " >}}", alone or "one of num, says, members, embed")
  end
  return handler(token.args, token.kwargs, {}, token.args, context)
end

local function plain(text)
  return (text:gsub(TOKEN, function(number) return answer(number, "text") end))
end

local function inline(str)
  return core.replaced(str, function(number) return answer(number, "inline") end)
end

local function attributes(el)
  for key, value in pairs(el.attributes) do el.attributes[key] = plain(value) end
  return el
end

local function code(el)
  el.text = plain(el.text)
  return el
end

-- A formula holds no shortcode, as in Quarto.
local function formula(math)
  local number = math.text:match(TOKEN)
  if not number then return nil end
  local raw = tokens[tonumber(number)].raw
  core.fail("%$.*" .. core.literal(raw), "{{< " .. raw .. " >}} inside mathematics",
    "a shortcode in the text: Quarto cannot resolve it in a formula")
end

-- A `crossref` holds a Span for each label, with what was written before it.
local function crossref(cite)
  local labels = pandoc.Inlines({})
  for _, one in ipairs(cite.citations) do
    if not KINDS[one.id:lower():match("^(%a+)%-") or ""] then return nil end
    local bare = one.mode == "SuppressAuthor" and "bare" or "full"
    labels:insert(pandoc.Span(one.prefix, pandoc.Attr("", {}, { label = one.id, form = bare })))
  end
  return pandoc.Span(labels, pandoc.Attr("", { "crossref" }))
end

return pandoc.List(script("when")) .. { {
  Str = inline, Code = code, CodeBlock = code, RawInline = code, RawBlock = code,
  Span = attributes, Header = attributes, Div = attributes, Image = attributes, Math = formula, Cite = crossref,
  Link = function(link)
    link.target = plain(link.target)
    return attributes(link)
  end,
}, { Pandoc = script("bind").document } }
