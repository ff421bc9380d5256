-- Quarto walks some sixty times over the whole text, node by node in Lua, and finds something to do in
-- little of it. What it need not see is set aside meanwhile: our own shortcodes are answered at
-- once, and then each run of plain words and claims stands as one token, and each table without its rows.
-- That saves a third of pandoc's time. `finish.lua` puts everything back.

local core = claimledger_core
if claimledger_aside then return claimledger_aside end
local aside, runs, bodies, MARK = {}, {}, {}, "rows-aside"
claimledger_aside = aside
local draw, handlers = core.load("draw"), core.load("shortcodes")

-- A span that Quarto's reader makes of a shortcode; one inside another is left to Quarto.
local function answered(span)
  if not span.classes:includes("quarto-shortcode__") then return draw.said(span) end
  local args, kwargs = pandoc.List(), {}
  for _, one in ipairs(span.content) do
    local value, key = one.attributes and one.attributes["data-value"], one.attributes and one.attributes["data-key"]
    if one.t == "Span" and not value then return nil end
    if key then kwargs[key] = value elseif value then args:insert(value) end
  end
  local handler = handlers[args:remove(1)]
  return handler and handler(args, kwargs, nil, args, "inline")
end

local WORDS = { Str = true, Space = true, SoftBreak = true, LineBreak = true }
local AROUND = { Emph = true, Strong = true, Quoted = true, Superscript = true, Subscript = true, SmallCaps = true }

-- Whether Quarto has nothing to do in it: no reference, picture, formula, note, other shortcode. Of a
-- citation the work begins after the filters; what may be a reference has a kind before its first hyphen.
local function quiet(inline)
  if WORDS[inline.t] or inline.t == "Code" and not inline.text:find("{{<", 1, true) then return true end
  if inline.t == "Cite" then
    return not inline.citations:find_if(function(one) return one.id:match("^%a+%-") end)
  end
  if not (AROUND[inline.t] or inline.t == "Link" and inline.classes:includes("claim")) then return false end
  return not inline.content:find_if(function(one) return not quiet(one) end)
end

local function paragraph(block)
  if #block.content < 2 or block.content:find_if(function(one) return not quiet(one) end) then return nil, false end
  table.insert(runs, block.content)
  block.content = { pandoc.Str(core.token(#runs)) }
  return block, false
end

local function busy(tab)
  local found = false
  local function seen() found = true end
  tab:walk({ Span = seen, Cite = seen, Link = seen, Image = seen, Math = seen, Note = seen })
  return found
end

function aside.table(tab)
  if not (quarto and core.own) or #tab.bodies == 0 or busy(tab) then return tab, false end
  table.insert(bodies, tab.bodies)
  tab.attributes[MARK], tab.bodies = tostring(#bodies), {}
  return tab, false
end

-- A table may have no rows of its own; where some were set aside, one without is one that lost them.
function aside.rows(tab)
  local number = tonumber(tab.attributes[MARK])
  if number then tab.attributes[MARK], tab.bodies = nil, bodies[number] end
  if #tab.bodies == 0 and #bodies > 0 then core.fail("tbl%-", "a table that lost its rows", "rows, as its cell has them") end
  return tab
end

-- The caption that a notebook's cell gives its table, as the last paragraph of its block: where Quarto
-- finds it as well, without the whole of its reader for a line.
local function caption(text)
  local found = pandoc.List()
  local plain = text:gsub("{{<%s*num%s+(%S+)%s*(%S-)%s*>}}", function(id, field)
    found:insert(handlers.num(pandoc.List({ id, field ~= "" and field or nil }), {}, nil, nil, "inline"))
    return core.token(#found)
  end)
  if plain:find("{{<", 1, true) then return nil end
  return pandoc.Para(pandoc.utils.blocks_to_inlines(pandoc.read(plain, "markdown").blocks):walk({
    Str = function(str) return core.replaced(str, function(number) return found[number] end) end,
    Span = draw.said,
  }))
end

-- An exhibit's block is short, and Quarto takes its last paragraph for the caption.
local function block(div)
  if not div.identifier:match("^%l+%-") then return nil end
  local given = div.attributes["tbl-cap"]
  local last = given and caption(given)
  if last then
    div.content:insert(last)
    div.attributes["tbl-cap"] = nil
  end
  return div:walk({ Table = aside.table }), false
end

local words = { traverse = "topdown", Para = paragraph, Plain = paragraph, Div = block, Table = aside.table }

-- Words of the text alone: shortcodes of the front matter are no spans yet. And the engine's own settings,
-- which are a hundred values, as soon as the titles of the notebooks are read from them.
function aside.off(doc)
  if not (quarto and core.own) then return nil end
  collectgarbage("generational") -- a fifth of the filters' time went into looking for garbage
  draw.read_titles(doc.meta)
  doc.meta.ledger = nil
  doc = doc:walk({ Span = answered })
  doc.blocks = doc.blocks:walk(words)
  return doc
end

aside.back = {
  Str = function(str) return core.replaced(str, function(number) return runs[number] end) end,
  Table = aside.rows,
}

return aside
