from __future__ import annotations

import pytest

from pipelines.modules import places

FILES = frozenset(
    {
        *("app/__init__.py", "app/money.py", "app/web/__init__.py", "app/web/views.py", "app/types.py", "app/stub.pyi"),
        *("src/shop/__init__.py", "src/shop/cart.py", "tests/test_cart.py", "tests/help.py", "tests/unit/test_x.py"),
        *("services/pay/src/pay/__init__.py", "services/pay/src/pay/card.py", "services/pay/tests/test_card.py"),
        *("space/part.py", "setup.py", "types.py"),
    }
)


@pytest.mark.parametrize(
    ("path", "imported", "found"),
    [
        # absolute, from wherever
        ("app/web/views.py", "app.money.add", ["app/money.py add", "app/__init__.py money"]),
        ("app/web/views.py", "app.money", ["app/__init__.py money"]),
        ("app/web/views.py", "app", []),
        ("app/web/views.py", "app.money.Price.of", ["app/money.py Price", "app/__init__.py money"]),
        (
            "setup.py",
            "app.web.views.show",
            ["app/web/views.py show", "app/web/__init__.py views", "app/__init__.py web"],
        ),
        ("app/web/views.py", "app.stub.f", ["app/stub.pyi f", "app/__init__.py stub"]),
        ("app/web/views.py", "os.path.join", []),
        ("app/web/views.py", "types.f", ["types.py f"]),
        ("app/web/views.py", "space.part.f", ["space/part.py f"]),
        # src layout, and projects within a repository
        ("tests/test_cart.py", "shop.cart.add", ["src/shop/cart.py add", "src/shop/__init__.py cart"]),
        ("src/shop/cart.py", "shop.Cart", ["src/shop/__init__.py Cart"]),
        (
            "services/pay/tests/test_card.py",
            "pay.card.f",
            ["services/pay/src/pay/card.py f", "services/pay/src/pay/__init__.py card"],
        ),
        ("tests/test_cart.py", "pay.card.f", []),
        # next to it, as pytest has it
        ("tests/test_cart.py", "help.f", ["tests/help.py f"]),
        ("tests/unit/test_x.py", "help.f", ["tests/help.py f"]),
        # relative
        ("app/web/views.py", ".f", ["app/web/__init__.py f"]),
        ("app/web/__init__.py", ".views.show", ["app/web/views.py show", "app/web/__init__.py views"]),
        ("app/web/views.py", "..money.add", ["app/money.py add", "app/__init__.py money"]),
        ("app/web/views.py", "...space.part.f", ["space/part.py f"]),
        ("app/web/views.py", "....space.part.f", []),
        ("tests/test_cart.py", ".help.f", ["tests/help.py f"]),
    ],
)
def test_places(path: str, imported: str, found: list[str]) -> None:
    dotted = imported.lstrip(".")
    assert [" ".join(one) for one in places(len(imported) - len(dotted), dotted, path, FILES)] == found
